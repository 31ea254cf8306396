//! Inputs and the streams that they and captures give.

use crate::{
    desk::{EMPTY, ENDED, FAILED},
    error::{BindingError, BindingResult, cross},
    events::{Event, Outcome},
    frames::time,
    state::NativeRuntime,
};
use beamline_container::{TrackInfo, TrackKind};
use beamline_flow::{
    DeviceChanges, Error, FrameStream, FramesOptions, Input, InputOptions, Pace, PacketStream, PacketsOptions, Policy,
    Pop,
};
use beamline_io::{ByteSource, BytesSource, CallbackSource, FileSource};
use beamline_media::{ErrorCode, Packet, Rational, display_size};
use bytes::Bytes;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// How long `close()` waits for threads before it says that they did not end.
pub(crate) const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// A stream that JavaScript consumes.
pub(crate) enum Stream {
    Frames(FrameStream, Ended),
    Packets(PacketStream, Ended),
    Devices(DeviceChanges, Ended),
}

impl Stream {
    /// What its last word was.
    fn ended(&self) -> &Ended {
        match self {
            Stream::Frames(_, ended) | Stream::Packets(_, ended) | Stream::Devices(_, ended) => ended,
        }
    }
}

/// What a stream's last word was, once it was heard.
pub(crate) type Ended = Option<Option<Arc<Error>>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenSpec {
    path: Option<String>,
    name: Option<String>,
    size: Option<f64>,
    source: Option<u32>,
    recover: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FramesSpec {
    from: Option<i64>,
    to: Option<i64>,
    realtime: Option<bool>,
    queue: Option<usize>,
    policy: Option<String>,
    threads: Option<u32>,
}

impl FramesSpec {
    pub(crate) fn frames(&self) -> Result<FramesOptions, BindingError> {
        let default = FramesOptions::default();
        Ok(FramesOptions {
            from_us: self.from,
            to_us: self.to,
            pace: if self.realtime == Some(true) {
                Pace::Realtime
            } else {
                Pace::Fast
            },
            queue: self.queue.unwrap_or(default.queue),
            policy: policy(self.policy.as_deref())?.unwrap_or(default.policy),
            threads: self.threads.unwrap_or(default.threads),
        })
    }

    fn packets(&self) -> PacketsOptions {
        let default = PacketsOptions::default();
        PacketsOptions {
            from_us: self.from,
            to_us: self.to,
            queue: self.queue.unwrap_or(default.queue),
        }
    }
}

pub(crate) fn policy(name: Option<&str>) -> Result<Option<Policy>, BindingError> {
    name.map(|n| {
        Policy::from_name(n).ok_or_else(|| {
            let message =
                format!("expected 'block', 'drop-oldest', 'drop-newest' or 'latest' for 'policy' but received '{n}'");
            BindingError::new(ErrorCode::InvalidConfig, "invalid-argument", message)
        })
    })
    .transpose()
}

pub(crate) fn parse<T: for<'a> Deserialize<'a>>(json: &str) -> Result<T, BindingError> {
    serde_json::from_str(json).map_err(|e| BindingError::options(&e))
}

/// A track as TypeScript gets it.
pub(crate) fn track_json(index: usize, track: &TrackInfo) -> Value {
    let common = json!({
        "index": index,
        "id": track.id,
        "codec": track.codec,
        "family": track.encoded.0,
        "description": track.description.as_ref().map(|d| d.to_vec()),
        "timeBase": track.time_base,
        "start": track.start_us,
        "duration": track.duration_us,
        "bitrate": track.bitrate,
        "packets": track.packets,
        "language": track.language,
    });
    let more = match &track.kind {
        TrackKind::Video(v) => json!({
            "type": "video",
            "codedWidth": v.coded.width,
            "codedHeight": v.coded.height,
            "frameRate": v.frame_rate,
            "display": display_size(v.coded, v.pixel_aspect.unwrap_or(Rational::ONE), v.rotation),
            "pixelAspect": v.pixel_aspect,
            "rotation": v.rotation.degrees(),
            "color": [v.color.primaries_name(), v.color.transfer_name(), v.color.matrix_name()],
            "fullRange": v.color.full_range,
        }),
        TrackKind::Audio(a) => json!({
            "type": "audio",
            "sampleRate": a.sample_rate,
            "channels": a.channels,
            "priming": a.priming,
        }),
        TrackKind::Other => json!({ "type": "other" }),
    };
    let (Value::Object(mut all), Value::Object(more)) = (common, more) else {
        return Value::Null;
    };
    all.extend(more);
    Value::Object(all)
}

impl NativeRuntime {
    fn open_source(
        &self,
        request: u32,
        cancel: Option<f64>,
        recover: bool,
        source: impl FnOnce() -> Result<Arc<dyn ByteSource>, Error> + Send + 'static,
    ) {
        let runtime = self.runtime.clone();
        let cancel = self.cancel_of(cancel);
        self.run(request, move || {
            Input::open(&runtime, source()?, InputOptions { recover }, cancel).map(Outcome::Input)
        });
    }

    pub(crate) fn adopt_input(&self, input: Input) -> String {
        let tracks: Vec<_> = input
            .tracks()
            .iter()
            .enumerate()
            .map(|(i, t)| track_json(i, t))
            .collect();
        let (format, duration, incomplete) = (
            input.format().to_owned(),
            input.duration_us(),
            input.incomplete().map(str::to_owned),
        );
        let id = self.inputs.borrow_mut().insert(input);
        json!({ "id": id, "format": format, "duration": duration, "tracks": tracks, "incomplete": incomplete })
            .to_string()
    }

    /// Puts a stream of frames into the table and lets it ring the doorbell.
    pub(crate) fn adopt_frames(&self, stream: FrameStream) -> f64 {
        let mut streams = self.streams.borrow_mut();
        let id = streams.insert(Stream::Frames(stream, None));
        if let Some(Stream::Frames(stream, _)) = streams.get(id) {
            let doorbell = Arc::clone(&self.doorbell);
            stream.on_ready(move || doorbell.post(Event::Ready(id)));
        }
        id
    }

    fn adopt_packets(&self, stream: PacketStream) -> f64 {
        let mut streams = self.streams.borrow_mut();
        let id = streams.insert(Stream::Packets(stream, None));
        if let Some(Stream::Packets(stream, _)) = streams.get(id) {
            let doorbell = Arc::clone(&self.doorbell);
            stream.on_ready(move || doorbell.post(Event::Ready(id)));
        }
        id
    }

    fn input(&self, id: f64) -> Result<Input, BindingError> {
        self.inputs
            .borrow()
            .get(id)
            .cloned()
            .ok_or_else(|| BindingError::closed("the input"))
    }
}

/// A packet as TypeScript gets it.
#[napi(object)]
pub struct NativePacket {
    pub data: Uint8Array,
    /// µs; NaN where there is none.
    pub timestamp: f64,
    /// µs; NaN where there is none.
    pub decode_time: f64,
    /// µs; NaN where there is none.
    pub duration: f64,
    pub key: bool,
    pub trim_start: u32,
    pub trim_end: u32,
}

impl From<Packet> for NativePacket {
    fn from(packet: Packet) -> Self {
        NativePacket {
            data: Uint8Array::new(packet.data.to_vec()),
            timestamp: time(packet.timestamp_us),
            decode_time: time(packet.decode_us),
            duration: time(packet.duration_us),
            key: packet.key,
            trim_start: packet.trim.0,
            trim_end: packet.trim.1,
        }
    }
}

#[napi]
impl NativeRuntime {
    /// Opens a path, or a source that JavaScript serves (`READ` events); settles with the input as JSON.
    #[napi]
    pub fn open_input(&self, request: u32, cancel: Option<f64>, json: String) -> BindingResult<bool> {
        cross(parse::<OpenSpec>(&json).map(|spec| {
            let recover = spec.recover.unwrap_or(false);
            if let Some(path) = spec.path {
                self.open_source(request, cancel, recover, move || Ok(Arc::new(FileSource::open(path)?)));
                return true;
            }
            let (doorbell, source) = (Arc::clone(&self.doorbell), spec.source.unwrap_or_default());
            let (name, size) = (spec.name.unwrap_or_else(|| "input".into()), spec.size.map(|s| s as u64));
            self.open_source(request, cancel, recover, move || {
                Ok(Arc::new(CallbackSource::new(name, size, move |offset, len, reply| {
                    doorbell.post(Event::Read {
                        source,
                        offset,
                        len,
                        reply,
                    });
                })))
            });
            true
        }))
    }

    /// Opens bytes, which are copied; settles as `openInput`.
    #[napi]
    pub fn open_bytes(&self, request: u32, cancel: Option<f64>, data: Uint8Array, name: String, recover: bool) {
        let data = Bytes::copy_from_slice(&data);
        self.open_source(request, cancel, recover, move || {
            Ok(Arc::new(BytesSource::new(data, name)))
        });
    }

    /// A cursor over decoded pictures of a track; gives the stream's number.
    #[napi]
    pub fn input_frames(&self, input: f64, track: u32, json: String) -> BindingResult<f64> {
        cross((|| {
            let options = parse::<FramesSpec>(&json)?.frames()?;
            Ok(self.adopt_frames(self.input(input)?.frames(track as usize, &options)?))
        })())
    }

    /// A cursor over packets of a track; gives the stream's number.
    #[napi]
    pub fn input_packets(&self, input: f64, track: u32, json: String) -> BindingResult<f64> {
        cross((|| {
            let options = parse::<FramesSpec>(&json)?.packets();
            Ok(self.adopt_packets(self.input(input)?.packets(track as usize, &options)?))
        })())
    }

    /// Closes an input; settles when its threads have ended.
    #[napi]
    pub fn close_input(&self, request: u32, id: f64) {
        let input = self.inputs.borrow_mut().remove(id);
        self.run(request, move || {
            if let Some(input) = input {
                input.close();
                let _ = input.wait_closed(CLOSE_PATIENCE);
            }
            Ok(Outcome::Json("null".into()))
        });
    }

    /// The next packet that waits: `null` with the reason as `take` gives it left for `streamState`.
    #[napi]
    pub fn take_packet(&self, id: f64) -> Option<NativePacket> {
        let mut streams = self.streams.borrow_mut();
        let Some(Stream::Packets(stream, ended)) = streams.get_mut(id) else {
            return None;
        };
        loop {
            match stream.pop() {
                Pop::Item(packet) => return Some(packet.into()),
                Pop::Empty if stream.arm() => return None,
                Pop::Empty => {}
                Pop::End(error) => {
                    *ended = Some(error);
                    return None;
                }
            }
        }
    }

    /// −1 while it goes on, −3 ended, −4 failed.
    #[napi]
    pub fn stream_state(&self, id: f64) -> i32 {
        match self.streams.borrow().get(id) {
            Some(stream) => match stream.ended() {
                None => EMPTY,
                Some(Some(_)) => FAILED,
                Some(None) => ENDED,
            },
            None => ENDED,
        }
    }

    /// Why a stream failed.
    #[napi]
    pub fn stream_error(&self, id: f64) -> BindingError {
        match self.streams.borrow().get(id).map(Stream::ended) {
            Some(Some(Some(error))) => (&**error).into(),
            _ => BindingError::closed("the stream"),
        }
    }

    /// Numbers of a stream of frames, as JSON.
    #[napi]
    pub fn stream_stats(&self, id: f64) -> String {
        match self.streams.borrow().get(id) {
            Some(Stream::Frames(stream, _)) => serde_json::to_string(&stream.stats()).unwrap_or_default(),
            _ => "null".into(),
        }
    }

    /// Ends a stream; frames that it gave live on.
    #[napi]
    pub fn close_stream(&self, id: f64) {
        let stream = self.streams.borrow_mut().remove(id);
        drop(stream);
    }
}
