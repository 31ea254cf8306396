//! Frames between processes: in shared memory, without a copy, and without trust.
//!
//! One process owns a source's memory ([`Publisher`]); others of the same user read it ([`Reader`]). A socket says hello, carries fds,
//! changes of format and the end; frames themselves go by a ring that only the owner writes ([`beamline_arena::grant`]).
//!
//! ```text
//! Publisher ── socket: Welcome + fds, Segment + fd, Caps, End ──▶ Reader
//!           ── ring: FrameMessage (grants of up to four slots) ─▶
//!           ◀─ return page: counters and dirty bits, an eventfd ──
//! ```
//!
//! It is not a transport between machines, and knows nothing of sources or loops: `flow` joins them. Whatever a client says or does costs
//! nobody but itself: its policy drops for it alone, and what it held comes back when its socket ends.
//!
//! | file | what |
//! |---|---|
//! | `message.rs` | a frame as the words of a ring's entry, without I/O |
//! | `wire.rs` | what the socket carries, as bytes, without I/O |
//! | `place.rs` | where a share listens |
//! | `socket.rs` | messages with fds |
//! | `memory.rs` | what readers may hold, set aside |
//! | `client/` | one client, from the owner's side |
//! | `segments.rs` | what memory a client knows |
//! | `publisher.rs` | the owner |
//! | `service.rs` | its thread |
//! | `hosting.rs` | what the thread does for clients that produce or hand over |
//! | `produce.rs` | one that fills frames, from the owner's side |
//! | `join.rs` | what all clients do alike |
//! | `reader.rs` | a client that reads |
//! | `ear.rs`, `lookout.rs` | what wakes a client that sleeps, besides frames; the thread that watches sockets for all |
//! | `hearing.rs` | what a reader's socket says, whoever hears it |
//! | `passer.rs` | frames from client to client |
//! | `producer.rs` | a client that fills frames |
//! | `invite.rs`, `peer.rs` | a link over an inherited socket; who is at its other end |
//! | `watch.rs`, `watchers.rs` | what is shared now, and what changes: who asks, who tells |
//!
//! Start reading at `publisher.rs`.

mod client;
mod ear;
mod error;
mod hearing;
mod hosting;
mod invite;
mod join;
mod lookout;
mod memory;
mod message;
mod passer;
mod peer;
mod place;
mod produce;
mod producer;
mod publisher;
mod reader;
mod segments;
mod service;
mod socket;
mod watch;
mod watchers;
mod wire;

pub use client::ClientInfo;
pub use ear::{Interrupt, Waiter};
pub use error::Error;
pub use message::{FrameMessage, MessageError, PlaneAt, SlotAt};
pub use passer::Passer;
pub use place::{Place, list};
pub use produce::{Host, Produced};
pub use producer::{Producer, ProducerOptions};
pub use publisher::{Limits, Publisher};
pub use reader::{Next, Reader, ReaderOptions};
pub use watch::{ShareChange, Watch};
pub use wire::{Caps as WireCaps, ClientPolicy, Failure, FromClient, Hello, ToClient};
#[doc(hidden)]
pub use wire::{fuzz as fuzz_wire, version};
