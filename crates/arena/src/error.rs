//! What can go wrong with memory.

use crate::wait::GaveUp;

/// Why there is no slot, or no segment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// All slots are taken and the caller did not want to wait.
    #[error("all {slots} slots of pool '{pool}' are in use")]
    Empty {
        /// Label of the pool.
        pool: String,
        /// Slots that it has.
        slots: u32,
    },
    /// A further segment would pass the byte budget of the pool or of the arena. Close frames, or raise the budget.
    #[error("pool '{pool}' needs {wanted} bytes more, but {used} of {budget} bytes are in use")]
    Budget {
        /// Label of the pool.
        pool: String,
        /// Bytes that were asked for.
        wanted: u64,
        /// Bytes in segments now.
        used: u64,
        /// Bytes allowed.
        budget: u64,
    },
    /// The deadline passed while all slots were in use.
    #[error("no slot of pool '{pool}' came free in time: {in_use} of {slots} in use")]
    Timeout {
        /// Label of the pool.
        pool: String,
        /// Slots in use at the end.
        in_use: u32,
        /// Slots that it has.
        slots: u32,
    },
    /// The wait was cancelled.
    #[error("waiting for a slot was cancelled")]
    Cancelled,
    /// What can be set aside for others is set aside already.
    #[error("pool '{pool}' has {free} slots left to set aside, but {wanted} were asked for")]
    Promised {
        /// Label of the pool.
        pool: String,
        /// Slots that were asked for.
        wanted: u32,
        /// Slots that are left.
        free: u32,
    },
    /// A size of zero or beyond what the address space can hold.
    #[error("expected a slot size of 1 to {max} bytes but received {got}")]
    Size {
        /// What was asked for.
        got: usize,
        /// The most that is possible.
        max: usize,
    },
    /// What another process gave as shared memory is not what it must be.
    #[error("another process gave as shared memory what cannot be used: {what}")]
    Foreign {
        /// What it gave.
        what: String,
    },
    /// The kernel refused a segment.
    #[error("cannot make a shared memory segment of {bytes} bytes: {source}")]
    Os {
        /// Bytes of the segment.
        bytes: usize,
        /// What the kernel said.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn gave_up(gave_up: GaveUp, pool: &str, in_use: u32, slots: u32) -> Self {
        match gave_up {
            GaveUp::TimedOut => Error::Timeout {
                pool: pool.into(),
                in_use,
                slots,
            },
            GaveUp::Cancelled => Error::Cancelled,
        }
    }
}
