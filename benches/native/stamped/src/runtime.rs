//! `crates/node/src/runtime.rs` with one more backend.

use crate::source::Stamped;
use beamline_flow::{Copies, Runtime, Threads};
use beamline_media::SystemClock;
use std::sync::{Arc, OnceLock};

/// The runtime of one environment.
pub(crate) fn for_environment() -> Runtime {
    static PROCESS: OnceLock<Runtime> = OnceLock::new();
    let process = PROCESS.get_or_init(|| {
        let (codecs, containers) = beamline_ffmpeg::provider();
        let mut backends = beamline_capture::Registry::with_builtins();
        backends.register(Box::new(Stamped));
        Runtime {
            arena: beamline_arena::Arena::default(),
            codecs: beamline_codec::Registry::new(vec![codecs]),
            containers,
            backends: Arc::new(backends),
            clock: Arc::new(SystemClock),
            copies: Copies::default(),
            threads: Threads::new(),
        }
    });
    Runtime {
        threads: Threads::new(),
        ..process.clone()
    }
}
