// SPDX-License-Identifier: Apache-2.0
//
// base/limits.h — every limit in one place, with its reason and the relations between them.
#ifndef MUSTER_BASE_LIMITS_H
#define MUSTER_BASE_LIMITS_H

#define KIB 1024
#define MIB (1024 * 1024)

// Spec files. One MiB holds about 5,000 ordinary services; parsing it must stay under 100 ms and 16 MiB
// whatever it holds.
#define YAML_BYTES_MAX (4 * MIB) // one file
#define YAML_DEPTH_MAX 64        // libyaml is quadratic in nesting
#define YAML_NODES_MAX 200000    // after alias expansion
#define YAML_ALIASES_MAX 1000    // anchors and aliases in one file
#define YAML_SCALAR_BYTES_MAX (256 * KIB)
#define YAML_FILES_MAX 1000 // files of one apply
#define DIAGNOSTICS_MAX 20  // reported per run; the rest is counted

// Names and small texts.
#define NAME_BYTES_MAX 63           // services, nodes, networks: a DNS label
#define STORE_NAME_BYTES_MAX 128    // any object name as a key: stack names prefix service names
#define STRING_BYTES_MAX (64 * KIB) // any one string of a spec
#define LIST_ITEMS_MAX 10000        // any one list or map of a spec

// Objects and transactions (Swarm: 1.5 MiB, 200 changes).
#define OBJECT_BYTES_MAX (1 * MIB)
#define TRANSACTION_BYTES_MAX (4 * MIB)
#define TRANSACTION_CHANGES_MAX 2000
#define REPLICAS_MAX 1000000
#define PREFERENCES_MAX 8        // levels of spreading, one within the other
#define RESERVATION_KINDS_MAX 64 // generic resources of one service
#define SPEC_REVISIONS_MAX 20    // specs of a service that are kept for rollback and undo

// History: the watch stream can be resumed while its revision lies inside.
#define HISTORY_BYTES_MAX (64 * MIB)
#define HISTORY_AGE_MS_MAX (24LL * 3600 * 1000)

// Store.
#define STORE_MAP_BYTES (8ULL * 1024 * MIB) // address space, sparse on disk
#define STORE_RESERVE_BYTES (64ULL * MIB)   // proposals are refused below this much free map or disk

// Wire.
#define FRAME_BYTES_MAX (4 * MIB + 64 * KIB)
#define FRAME_CHUNK_BYTES (256 * KIB) // a long answer is a run of frames of about this size
// A snapshot goes over in chunks of about 256 KiB; one record may make a chunk longer.
#define SNAPSHOT_CHUNK_BYTES_MAX (2 * MIB)
#define LINK_QUEUE_BYTES_MAX (16 * MIB)
#define LINKS_MAX 256 // local clients at once
#define HELLO_DEADLINE_MS 3000

// Node.
#define LOG_LINE_BYTES_MAX (16 * KIB)
#define LAYERS_MAX 127
#define LAYER_ENTRIES_MAX 500000
#define IMAGE_BYTES_MAX (16ULL * 1024 * MIB) // unpacked
#define TASKS_PER_NODE_MAX 5000

_Static_assert(OBJECT_BYTES_MAX <= TRANSACTION_BYTES_MAX, "a transaction must hold the largest object");
_Static_assert(TRANSACTION_BYTES_MAX < FRAME_BYTES_MAX, "a frame must hold the largest transaction");

#endif
