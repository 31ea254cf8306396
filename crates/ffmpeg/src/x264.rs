//! What we ask of the H.264 encoders: the table of defaults (`beamline_codec::ENCODER_DEFAULTS`) as options of libx264 and
//! libopenh264.
//!
//! * A bitrate becomes the mean (`b:v`). How far it may swing: in quality mode up to one and a half times that over two seconds
//!   (`maxrate` 1.5×, `bufsize` 2×), in realtime mode not at all over one second (`maxrate` 1×, `bufsize` 1×).
//! * Time runs in µs. In quality mode rate control knows how long each picture is shown; in realtime mode (x264's `zerolatency`) it
//!   takes pictures as evenly spaced, because to know the length of a picture it would have to wait for the next one.
//! * Quality: frame threads. Realtime: slice threads, which add no delay.

use crate::{h264, raii::Dict, sys as ff};
use beamline_codec::{EncoderDefaults, Error, LatencyMode, VideoEncoderConfig, strings::Level};
use beamline_media::{PixelFormat, Rational};
use std::ffi::c_int;

/// The rate that rate control starts from when none is said.
pub(crate) const RATE: Rational = Rational { num: 30, den: 1 };

/// Formats that the encoder of that name reads, best first.
pub(crate) fn formats(encoder: &str) -> &'static [PixelFormat] {
    match encoder {
        "libx264" => &[PixelFormat::I420, PixelFormat::NV12, PixelFormat::NV21],
        _ => &[PixelFormat::I420],
    }
}

/// Formats that are taken besides, when somebody insists: not what most players can show.
pub(crate) fn rare_formats(encoder: &str) -> &'static [PixelFormat] {
    match encoder {
        "libx264" => &[
            PixelFormat::I422,
            PixelFormat::I444,
            PixelFormat::I420P10,
            PixelFormat::GRAY8,
        ],
        _ => &[],
    }
}

/// Sets fields and options of a context that is not opened yet; gives the options.
///
/// # Safety
/// `ctx` is a valid context of encoder `name`, used by nobody else.
pub(crate) unsafe fn set_up(
    ctx: *mut ff::AVCodecContext,
    name: &str,
    config: &VideoEncoderConfig,
) -> Result<Dict, Error> {
    let defaults = EncoderDefaults::of(config.latency_mode);
    let realtime = config.latency_mode == LatencyMode::Realtime;
    let rate = config.frame_rate.unwrap_or(RATE);
    let wanted = h264::wanted(&config.codec)?;
    let level = wanted.and_then(|wanted| Some((wanted.avc.limits()?, wanted.avc.profile)));
    let gop = config.key_interval.unwrap_or_else(|| {
        let pictures = f64::from(defaults.key_interval_s) * rate.as_f64();
        pictures.round().clamp(1.0, 100_000.0) as u32
    });
    // SAFETY: the caller's promise.
    unsafe {
        (*ctx).gop_size = c_int::try_from(gop).unwrap_or(c_int::MAX);
        (*ctx).framerate = ff::AVRational {
            num: c_int::try_from(rate.num).unwrap_or(30),
            den: c_int::try_from(rate.den).unwrap_or(1),
        };
        // Always out of band for FFmpeg, so that the parameter sets are known from the start; in-band besides, where wanted.
        (*ctx).flags |= ff::AV_CODEC_FLAG_GLOBAL_HEADER as c_int;
        (*ctx).thread_count = threads(config, realtime);
        (*ctx).thread_type = if realtime {
            ff::FF_THREAD_SLICE
        } else {
            ff::FF_THREAD_FRAME
        } as c_int;
        if let Some(b_frames) = defaults.b_frames {
            (*ctx).max_b_frames = c_int::try_from(b_frames).unwrap_or(0);
        }
        if let Some(bitrate) = config.bitrate {
            let bitrate = i64::try_from(bitrate).unwrap_or(i64::MAX / 4);
            let (most, buffer) = if realtime {
                (bitrate, bitrate)
            } else {
                (bitrate + bitrate / 2, bitrate * 2)
            };
            // No further than the level goes, where one is asked for.
            let limit = |value: i64, of: fn(&Level, u8) -> u64| {
                let most = level.and_then(|(level, profile)| i64::try_from(of(level, profile)).ok());
                most.map_or(value, |most| value.min(most))
            };
            let (most, buffer) = (limit(most, Level::bitrate), limit(buffer, Level::buffer));
            (*ctx).bit_rate = bitrate;
            (*ctx).rc_max_rate = most;
            (*ctx).rc_buffer_size = c_int::try_from(buffer).unwrap_or(c_int::MAX);
        }
    }
    if let Some(wanted) = wanted {
        // SAFETY: as above.
        unsafe { (*ctx).level = c_int::from(wanted.level) };
    }
    // x264 keeps as many pictures as its preset says, whatever the level.
    let preset = config.preset.as_deref().unwrap_or(defaults.preset);
    let most = level.map_or(REFERENCES_MAX, |(level, _)| level.reference_pictures(config.size));
    if name == "libx264" && references(preset) > most {
        // SAFETY: as above.
        unsafe { (*ctx).refs = most.max(1) as c_int };
    }
    Ok(match name {
        "libx264" => x264(config, defaults, wanted),
        _ => openh264(wanted),
    })
}

/// The most pictures that an H.264 stream refers to.
const REFERENCES_MAX: u32 = 16;

/// Pictures that x264 refers to with a preset.
fn references(preset: &str) -> u32 {
    match preset {
        "ultrafast" | "superfast" | "veryfast" => 1,
        "faster" | "fast" => 2,
        "medium" => 3,
        "slow" => 5,
        "slower" => 8,
        _ => REFERENCES_MAX,
    }
}

fn x264(config: &VideoEncoderConfig, defaults: &EncoderDefaults, wanted: Option<h264::Wanted>) -> Dict {
    let mut options = Dict::new()
        .with("preset", config.preset.as_deref().unwrap_or(defaults.preset))
        .with("forced-idr", "1");
    if let Some(tune) = defaults.tune {
        options.set("tune", tune);
    }
    if config.bitrate.is_none() {
        options.set("crf", &defaults.crf.to_string());
    }
    if let Some(wanted) = wanted {
        options.set("profile", wanted.profile);
    }
    // With lengths instead of start codes the packets need no pass of ours.
    let framing = if config.out_of_band {
        "annexb=0"
    } else {
        "annexb=1:repeat-headers=1"
    };
    options.set("x264-params", framing);
    options
}

fn openh264(wanted: Option<h264::Wanted>) -> Dict {
    let mut options = Dict::new().with("allow_skip_frames", "0");
    // It knows Constrained Baseline, Main and High.
    let profile = match wanted.map(|w| w.profile) {
        Some("baseline") => "constrained_baseline",
        Some("main") => "main",
        _ => "high",
    };
    options.set("profile", profile);
    options
}

/// Threads: what is asked for, else as many as x264 itself would take (one and a half per core), but no more than there are rows
/// of macroblocks to share.
fn threads(config: &VideoEncoderConfig, realtime: bool) -> c_int {
    if config.threads > 0 {
        return config.threads.min(128) as c_int;
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let rows = config.size.height.div_ceil(16) as usize;
    let (count, most) = if realtime { (cores, 4) } else { (cores * 3 / 2, 16) };
    count.clamp(1, most).min((rows / 4).max(1)) as c_int
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libopenh264_is_asked_for_the_profile_of_the_string_or_the_nearest_that_it_has() {
        for (codec, profile) in [
            ("avc1.42001f", "constrained_baseline"),
            ("avc1.4d001f", "main"),
            ("avc1.64001f", "high"),
            ("h264", "high"),
        ] {
            let options = openh264(h264::wanted(codec).unwrap());
            assert_eq!(options.get("profile").as_deref(), Some(profile), "{codec}");
            // A picture that is left out would be missing in the file.
            assert_eq!(options.get("allow_skip_frames").as_deref(), Some("0"));
        }
        assert_eq!(formats("libopenh264"), [PixelFormat::I420]);
        assert!(rare_formats("libopenh264").is_empty());
    }
}
