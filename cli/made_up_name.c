// SPDX-License-Identifier: Apache-2.0
//
// cli/made_up_name.c — an adjective, and the surname of somebody to whom computing or science owes something.
#include "cli/made_up_name.h"

// tidy: table
static const char *const adjectives[] = {
    "able",    "agile",    "amber",    "apt",    "bold",    "brave",    "breezy",  "bright",   "brisk",
    "calm",    "candid",   "cheerful", "clever", "cosy",    "crisp",    "curious", "daring",   "deft",
    "eager",   "early",    "earnest",  "easy",   "elegant", "fair",     "fast",    "fearless", "fluent",
    "fond",    "frank",    "fresh",    "gentle", "glad",    "golden",   "grand",   "happy",    "hardy",
    "honest",  "hopeful",  "humble",   "jolly",  "jovial",  "keen",     "kind",    "lively",   "lucid",
    "lucky",   "mellow",   "merry",    "mighty", "modest",  "neat",     "nimble",  "noble",    "optimistic",
    "patient", "peaceful", "plucky",   "polite", "proud",   "quick",    "quiet",   "ready",    "robust",
    "serene",  "sharp",    "sincere",  "sleek",  "smart",   "snug",     "sober",   "steady",   "stoic",
    "sturdy",  "sunny",    "swift",    "tender", "tidy",    "trusting", "upbeat",  "vivid",    "warm",
    "wise",    "witty",    "zealous",
};
// tidy: table
static const char *const surnames[] = {
    "abel",     "allen",    "babbage",    "backus",    "bardeen",  "bartik",   "boole",     "borg",
    "bose",     "brooks",   "cantor",     "carson",    "cerf",     "church",   "clarke",    "codd",
    "curie",    "darwin",   "dijkstra",   "easley",    "einstein", "elion",    "engelbart", "euclid",
    "euler",    "faraday",  "fermat",     "feynman",   "floyd",    "franklin", "galileo",   "galois",
    "gauss",    "goldberg", "goldwasser", "goodall",   "gray",     "hamilton", "hawking",   "herschel",
    "hertz",    "hoare",    "hodgkin",    "hopper",    "johnson",  "joliot",   "kay",       "kepler",
    "khorana",  "knuth",    "lamarr",     "lamport",   "leakey",   "liskov",   "lovelace",  "lynch",
    "mahavira", "maxwell",  "mayer",      "mclean",    "meitner",  "mendel",   "milner",    "mirzakhani",
    "morse",    "naur",     "newton",     "noether",   "nygaard",  "oort",     "pascal",    "pasteur",
    "perlman",  "planck",   "poincare",   "ramanujan", "ritchie",  "rubin",    "sagan",     "sammet",
    "shannon",  "swartz",   "tarjan",     "tesla",     "thompson", "torvalds", "turing",    "volta",
    "wescoff",  "wilkes",   "wing",       "wirth",     "wozniak",  "wright",   "yalow",     "yonath",
};

const char *made_up_name(struct prng *prng, struct arena *arena) {
    const char *adjective = adjectives[prng_below(prng, sizeof adjectives / sizeof *adjectives)];
    const char *surname = surnames[prng_below(prng, sizeof surnames / sizeof *surnames)];
    return arena_printf(arena, "%s_%s", adjective, surname);
}
