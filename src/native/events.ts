/** The first field of each event in what `drain()` gives: `crates/node/src/events.rs` has the same table. */
export const READY = 1
export const ROOM = 2
export const DONE = 3
export const FAILED = 4
export const BYTES = 5
export const READ = 6
export const SINK = 7
export const STRAY = 8
export const FORMAT = 9

/** What a sink of ours asks of JavaScript's. */
export const SINK_WRITE = 0
export const SINK_SEEK = 1
export const SINK_FINISH = 2
export const SINK_DISCARD = 3
