//! MP4 and MOV whose headers tell all that is to be known of their tracks: then no packet has to be read and decoded to open them.

use super::format::Format;
use crate::{color, raii, sys as ff};
use beamline_codec::framing::{AudioConfig, AvcConfig, Sps};
use beamline_media::{ColorSpace, Size};
use std::ffi::c_int;

/// FFmpeg's names of the demuxer.
const MOV: &str = "mov,";
/// AAC of more samples per second never has a replicated band that it does not signal.
const PLAIN_AAC: c_int = 24_000;

/// Whether the headers say everything that probing would find out; puts what only the parameter sets of H.264 say (colour, shape of
/// pixels) to where probing would put it. Fragments are never all said: their index has no packets.
pub(super) fn say_all(format: &mut Format) -> bool {
    // SAFETY: the context is open, its demuxer is a static table; streams and their parameters are its own, and `&mut` keeps others away.
    unsafe {
        let name = ff::static_str((*format.ctx.as_ref().iformat).name);
        let streams = format.streams();
        name.starts_with(MOV) && !streams.is_empty() && streams.iter().all(|stream| says_all(*stream))
    }
}

/// # Safety
/// `stream` is valid and used by nobody else.
unsafe fn says_all(stream: *mut ff::AVStream) -> bool {
    // SAFETY: the caller's promise; a stream always has parameters.
    unsafe {
        let (st, par) = (&*stream, &mut *(*stream).codecpar);
        if st.nb_frames <= 0 || st.duration <= 0 || st.start_time == ff::NOPTS {
            return false;
        }
        match ff::enum_get!(par.codec_id) {
            id if id == ff::AVCodecID::AV_CODEC_ID_H264 as c_int => {
                let rate = st.avg_frame_rate;
                rate.num > 0 && rate.den > 0 && pictures(par)
            }
            id if id == ff::AVCodecID::AV_CODEC_ID_AAC as c_int => sound(par),
            _ => false,
        }
    }
}

/// H.264 of one sequence parameter set that agrees with the container.
unsafe fn pictures(par: &mut ff::AVCodecParameters) -> bool {
    // SAFETY: the parameters are valid, their extradata has the size that they say.
    let record = AvcConfig::parse(unsafe { raii::extradata_of(par.extradata, par.extradata_size) });
    let Some([sps]) = record.as_ref().ok().map(|record| &record.sps[..]) else {
        return false;
    };
    let Ok(sps) = Sps::parse(sps) else {
        return false;
    };
    let side = |n: c_int| u32::try_from(n).unwrap_or(0);
    if sps.visible.size() != Size::new(side(par.width), side(par.height)) {
        return false;
    }
    let Some(said) = sps.usability else {
        return true;
    };
    // SAFETY: the parameters are valid.
    let container = unsafe { color::of_parameters(par) };
    let color = said.color.unwrap_or(ColorSpace {
        full_range: said.full_range.or(container.full_range),
        ..container
    });
    // FFmpeg has rules of its own for numbers without a meaning.
    if said.color.is_some_and(|color| !is_known(&color)) {
        return false;
    }
    // SAFETY: as above.
    unsafe { color::to_parameters(par, &color) };
    if let Some(aspect) = said.pixel_aspect {
        // 16 bits each.
        par.sample_aspect_ratio = ff::AVRational {
            num: aspect.num as c_int,
            den: aspect.den as c_int,
        };
    }
    true
}

/// Numbers that H.273 has a meaning for, but for the matrix of RGB.
fn is_known(color: &ColorSpace) -> bool {
    matches!(color.primaries, 1 | 2 | 4..=12 | 22)
        && matches!(color.transfer, 1 | 2 | 4..=18)
        && matches!(color.matrix, 1 | 2 | 4..=14)
}

/// AAC LC without replicated bands that agrees with the container.
unsafe fn sound(par: &ff::AVCodecParameters) -> bool {
    // SAFETY: as in `pictures`.
    let config = AudioConfig::parse(unsafe { raii::extradata_of(par.extradata, par.extradata_size) });
    config.is_ok_and(|config| {
        config.object_type == 2
            && config.sbr_rate.is_none()
            && !config.parametric_stereo
            && par.sample_rate > PLAIN_AAC
            && c_int::try_from(config.sample_rate()) == Ok(par.sample_rate)
            && c_int::try_from(config.channels()) == Ok(par.ch_layout.nb_channels)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracks;
    use beamline_container::TrackInfo;
    use beamline_io::{BytesSource, Cancel};
    use std::{path::Path, process::Command, sync::Arc};

    /// The tracks as they are told with and without probing; `None` when the headers do not say all.
    fn told(bytes: &[u8], probe: bool) -> Option<Vec<TrackInfo>> {
        let source: Arc<dyn beamline_io::ByteSource> = Arc::new(BytesSource::new(bytes.to_vec(), "made"));
        let mut format = Format::open_only(&source, "made", &Cancel::new()).expect("it opens");
        if probe {
            format.look_over("made").expect("it is probed");
        } else if !say_all(&mut format) {
            return None;
        }
        // SAFETY: the streams are the context's.
        Some(format.streams().iter().map(|s| unsafe { tracks::read(*s) }).collect())
    }

    fn made(folder: &Path, name: &str, arguments: &str) -> Vec<u8> {
        let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/media/big-buck-bunny-720p.mp4");
        let out = folder.join(name);
        let ran = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-i"])
            .arg(clip)
            .args(arguments.split_whitespace())
            .arg(&out)
            .output()
            .expect("the ffmpeg command is there");
        assert!(
            ran.status.success(),
            "{arguments}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        std::fs::read(out).expect("it was written")
    }

    #[test]
    fn headers_tell_what_probing_tells() {
        let folder = tempfile::tempdir().expect("folder");
        let bt709 = "-color_primaries bt709 -color_trc bt709 -colorspace bt709";
        let cases: &[(&str, &str)] = &[
            ("copy.mp4", "-c copy"),
            ("copy.mov", "-c copy"),
            (
                "odd.mp4",
                "-t 1 -vf scale=322:182,setsar=4/3 -c:v libx264 -bf 3 -c:a aac",
            ),
            (
                "full.mp4",
                &format!("-t 1 -vf scale=64:64:out_range=full -c:v libx264 -color_range pc {bt709} -an"),
            ),
            (
                "colr.mov",
                &format!("-t 1 -vf scale=64:64 -c:v libx264 {bt709} -movflags write_colr -an"),
            ),
            (
                "smpte.mp4",
                "-t 1 -vf scale=64:64 -c:v libx264 -color_range tv -colorspace smpte170m -an",
            ),
            ("turned.mp4", "-t 1 -c copy -metadata:s:v rotate=90"),
            (
                "vfr.mp4",
                "-t 1 -vf scale=64:64,select='not(eq(mod(n,5),2))' -fps_mode vfr -c:v libx264 -bf 2 -ac 1 -c:a aac",
            ),
            (
                "ten.mp4",
                "-t 1 -vf scale=64:64 -c:v libx264 -pix_fmt yuv422p10le -ar 44100 -ac 2 -c:a aac",
            ),
            ("one.mp4", "-frames:v 1 -vf scale=64:64 -c:v libx264 -an"),
            (
                "interlaced.mp4",
                "-t 1 -vf scale=64:64 -c:v libx264 -flags +ilme+ildct -an",
            ),
        ];
        for (name, arguments) in cases {
            let bytes = made(folder.path(), name, arguments);
            let short = told(&bytes, false).unwrap_or_else(|| panic!("{name}: its headers say all"));
            assert_eq!(Some(short), told(&bytes, true), "{name}");
        }
    }

    #[test]
    fn what_the_headers_leave_open_is_probed() {
        let folder = tempfile::tempdir().expect("folder");
        let cases: &[(&str, &str)] = &[
            ("fragments.mp4", "-c copy -movflags frag_keyframe+delay_moov"),
            ("pictures.mov", "-t 1 -vf scale=64:64 -c:v mjpeg -an"),
            ("low.mp4", "-t 1 -vn -ar 22050 -ac 1 -c:a aac"),
            ("other.mkv", "-t 1 -c copy"),
        ];
        for (name, arguments) in cases {
            assert_eq!(told(&made(folder.path(), name, arguments), false), None, "{name}");
        }
    }
}
