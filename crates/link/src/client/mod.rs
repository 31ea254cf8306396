//! One client of a share, from the owner's side.
//!
//! Everything that decides stands in [`Books`], private to the owner. What the client writes is used as a clamped difference alone.
//!
//! | file | what |
//! |---|---|
//! | `books.rs` | what is kept of it |
//! | `grant.rs` | frames for it, and what comes back |
//! | `moving.rs` | a change of the source's memory |
//! | `turn.rs` | what the share's thread does for it |
//! | `leave.rs` | its end |
//!
//! Of one that produces there is more in `produce.rs`. Start reading at `books.rs`, then `grant.rs`.

mod books;
mod grant;
mod leave;
mod moving;
mod turn;

pub use books::ClientInfo;
pub(crate) use books::{Books, Client};
pub(crate) use grant::{Number, Offered};
pub(crate) use turn::Out;
