//! Packets of a source into pictures.

use super::Counters;
use crate::{Error, Runtime};
use beamline_codec::{VideoDecoder, VideoDecoderConfig};
use beamline_io::{Cancel, CancelHook};
use beamline_media::{Caps, Frame, Packet};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

/// Bytes of decoded pictures that a looped sequence may keep.
const CACHE_BYTES: usize = 256 << 20;

/// Decoding of what comes as packets, with a memory for sequences that repeat.
pub(super) struct Decode {
    decoder: Option<Box<dyn VideoDecoder>>,
    /// Ends a wait of the decoder for memory when the capture is closed.
    _waits: Option<CancelHook>,
    cache: HashMap<u64, Frame>,
    cache_bytes: usize,
}

impl Decode {
    pub(super) fn new(runtime: &Runtime, caps: &Caps, cancel: &Cancel) -> Result<Self, Error> {
        let mut waits = None;
        let decoder = match caps.encoded {
            None => None,
            Some(kind) => {
                // One picture in, one picture out: no frame threads.
                let config = VideoDecoderConfig {
                    low_latency: true,
                    color: caps.color,
                    ..VideoDecoderConfig::new(kind)
                };
                let pool = runtime.frame_pool("capture");
                let decoder = runtime.codecs.open_decoder(&config, Arc::clone(&pool))?;
                waits = Some(cancel.on_cancel(move || pool.pool().stop_waiting()));
                Some(decoder)
            }
        };
        Ok(Decode {
            decoder,
            _waits: waits,
            cache: HashMap::new(),
            cache_bytes: 0,
        })
    }

    pub(super) fn packet(
        &mut self,
        packet: &Packet,
        id: Option<u64>,
        counters: &Counters,
    ) -> Result<Vec<Frame>, Error> {
        if let Some(frame) = id.and_then(|id| self.cache.get(&id)) {
            counters.cached.fetch_add(1, Ordering::Relaxed);
            return Ok(vec![frame.clone().with_info(|info| {
                info.timestamp_us = packet.timestamp_us;
                info.duration_us = packet.duration_us;
            })]);
        }
        let Some(decoder) = &mut self.decoder else {
            return Err(Error::Internal {
                what: "a source gave packets that it had not announced".into(),
            });
        };
        decoder.send(Some(packet))?;
        let mut frames = Vec::new();
        while let Some(frame) = decoder.receive()? {
            counters.decoded.fetch_add(1, Ordering::Relaxed);
            frames.push(frame);
        }
        if let (Some(id), [frame]) = (id, &frames[..]) {
            self.remember(id, frame);
        }
        Ok(frames)
    }

    fn remember(&mut self, id: u64, frame: &Frame) {
        let bytes: usize = frame.leases().map(beamline_arena::Lease::len).sum();
        // What does not fit is decoded again each time: throwing the oldest out would lose every picture of a loop that is too long.
        if self.cache_bytes + bytes <= CACHE_BYTES {
            self.cache_bytes += bytes;
            self.cache.insert(id, frame.clone());
        }
    }
}
