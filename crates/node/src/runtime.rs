//! The composition root: what the process has once, made at first use.

use beamline_flow::{Copies, Runtime, Threads};
use beamline_media::SystemClock;
use std::sync::{Arc, OnceLock};

/// The runtime of one environment: memory, libraries and counters are the process's, threads its own.
pub(crate) fn for_environment() -> Runtime {
    // Not a registry of anybody's making but the process's memory: its byte budget must hold over all worker threads, and frames go
    // from one to the other.
    static PROCESS: OnceLock<Runtime> = OnceLock::new();
    let process = PROCESS.get_or_init(|| {
        let (codecs, containers) = beamline_ffmpeg::provider();
        Runtime {
            arena: beamline_arena::Arena::default(),
            codecs: beamline_codec::Registry::new(vec![codecs]),
            containers,
            backends: Arc::new(beamline_capture::Registry::with_builtins()),
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
