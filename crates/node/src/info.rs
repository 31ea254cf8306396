//! What this build and machine can do, and memory's numbers.

use crate::{state::NativeRuntime, token};
use beamline_codec::ENCODER_DEFAULTS;
use beamline_container::CONTAINERS;
use beamline_media::{EncodedKind, PixelFormat};
use napi_derive::napi;
use serde_json::json;

#[napi]
impl NativeRuntime {
    /// Versions, licence, formats, encoders, defaults, as JSON.
    #[napi]
    pub fn info(&self) -> String {
        let ffmpeg = beamline_ffmpeg::info();
        let formats: Vec<_> = PixelFormat::ALL
            .iter()
            .map(|f| {
                let planes: Vec<_> = f.info().planes.iter().map(|p| [p.sub_x, p.sub_y, p.bytes]).collect();
                json!({ "slug": f.slug(), "w3c": f.info().w3c, "alpha": f.info().alpha, "rgb": f.info().model == beamline_media::Model::Rgb, "bits": f.info().bits, "planes": planes })
            })
            .collect();
        let defaults: Vec<_> = ENCODER_DEFAULTS
            .iter()
            .map(|d| {
                json!({
                    "latencyMode": if d.latency_mode == beamline_codec::LatencyMode::Quality { "quality" } else { "realtime" },
                    "preset": d.preset, "tune": d.tune, "crf": d.crf, "keyIntervalSeconds": d.key_interval_s, "bFrames": d.b_frames,
                })
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ffmpeg": { "version": ffmpeg.version, "license": ffmpeg.licence, "configuration": ffmpeg.configuration },
            "h264Encoder": self.runtime.codecs.encoder_name(EncodedKind::H264),
            "containers": CONTAINERS.iter().map(|c| c.slug).collect::<Vec<_>>(),
            "pixelFormats": formats,
            "encoderDefaults": defaults,
        })
        .to_string()
    }

    /// Memory's numbers, as JSON.
    #[napi]
    pub fn memory_stats(&self) -> String {
        let stats = self.runtime.arena.stats();
        json!({
            "slots": stats.slots,
            "live": stats.live,
            "highWater": stats.high_water,
            "waits": stats.waits,
            "bytes": stats.bytes,
            "copies": self.runtime.copies.get(),
            "allocations": stats.allocations,
            "openFrames": self.frames.borrow().len(),
            "strayWrites": stats.stray_writes,
            "expiredTokens": token::expired(),
            "threads": self.runtime.threads.running(),
        })
        .to_string()
    }
}
