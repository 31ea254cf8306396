//! Outputs and the writers of their tracks.

use crate::{
    error::{BindingError, BindingResult, cross},
    events::{Event, Outcome},
    input::parse,
    state::NativeRuntime,
};
use beamline_codec::LatencyMode;
use beamline_container::{AudioInfo, MuxTrack, TrackInfo, TrackKind, VideoInfo};
use beamline_flow::{Error, Output, OutputConfig, PacketsOptions, Report, TrackWriter, VideoTrackConfig, Written};
use beamline_io::{ByteSink, CallbackSink, FileSink};
use beamline_media::{ColorSpace, EncodedKind, ErrorCode, Packet, Rational, Rotation, Size};
use bytes::Bytes;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use serde::Deserialize;
use std::sync::Arc;

/// A writer and the answer to whether it takes something.
pub(crate) struct WriterEntry {
    writer: TrackWriter,
}

/// What a write says.
const FULL: i32 = 0;
const TAKEN: i32 = 1;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateSpec {
    path: Option<String>,
    name: Option<String>,
    sink: Option<u32>,
    can_seek: Option<bool>,
    container: Option<String>,
    fragmented: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VideoSpec {
    codec: String,
    width: Option<u32>,
    height: Option<u32>,
    frame_rate: Option<(u32, u32)>,
    bitrate: Option<u64>,
    realtime: Option<bool>,
    preset: Option<String>,
    key_interval: Option<u32>,
    threads: Option<u32>,
    queue: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PacketsSpec {
    codec: String,
    description: Option<Vec<u8>>,
    sample_rate: Option<u32>,
    channels: Option<u32>,
    width: Option<u32>,
    height: Option<u32>,
    aspect: Option<(u64, u64)>,
    rotation: Option<f64>,
    priming: Option<u32>,
    time_base: Option<(u32, u32)>,
    language: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CopySpec {
    from: Option<i64>,
    to: Option<i64>,
    shortest: Option<bool>,
}

impl PacketsSpec {
    fn track(self) -> Result<MuxTrack, BindingError> {
        let encoded = beamline_codec::strings::parse(&self.codec).map_err(Error::from)?.kind();
        let kind = match (self.sample_rate, self.width, self.height) {
            (Some(sample_rate), ..) => TrackKind::Audio(AudioInfo {
                sample_rate,
                channels: self.channels.unwrap_or(2),
                frame_size: (encoded == EncodedKind::AAC).then_some(1024),
                priming: self.priming.unwrap_or(0),
            }),
            (None, Some(width), Some(height)) => TrackKind::Video(VideoInfo {
                pixel_aspect: self.aspect.and_then(|aspect| shape_of(aspect, width, height)),
                coded: Size::new(width, height),
                frame_rate: None,
                color: ColorSpace::UNSPECIFIED,
                rotation: Rotation::from_degrees(self.rotation.unwrap_or(0.0)),
            }),
            _ => {
                return Err(BindingError::new(
                    ErrorCode::InvalidConfig,
                    "invalid-argument",
                    "expected a config with sampleRate (sound) or with codedWidth and codedHeight (pictures)",
                ));
            }
        };
        Ok(MuxTrack {
            info: TrackInfo {
                id: 0,
                encoded,
                codec: self.codec,
                description: self.description.map(Bytes::from),
                kind,
                time_base: Rational::ONE,
                start_us: None,
                duration_us: None,
                bitrate: None,
                packets: None,
                language: self.language,
            },
            time_base: self.time_base.and_then(|(num, den)| Rational::new(num, den)),
        })
    }
}

/// The shape of the pixels of a picture that is shown as `aspect` wide to high.
fn shape_of((num, den): (u64, u64), width: u32, height: u32) -> Option<Rational> {
    let product = |a: u64, b: u32| u128::from(a) * u128::from(b);
    Rational::reduced(product(num, height), product(den, width))
}

impl NativeRuntime {
    fn create(&self, spec: CreateSpec, cancel: Option<f64>) -> Result<f64, BindingError> {
        let config = OutputConfig {
            container: spec.container,
            fragmented: spec.fragmented.unwrap_or(true),
        };
        let sink: Box<dyn ByteSink> = match (spec.path, spec.sink) {
            (Some(path), _) => Box::new(FileSink::create(path).map_err(Error::from)?),
            (None, sink) => {
                let (doorbell, sink) = (Arc::clone(&self.doorbell), sink.unwrap_or_default());
                let name = spec.name.unwrap_or_else(|| "output".into());
                Box::new(CallbackSink::new(
                    name,
                    spec.can_seek.unwrap_or(false),
                    move |request, reply| {
                        doorbell.post(Event::Sink { sink, request, reply });
                    },
                ))
            }
        };
        let output = Output::create(&self.runtime, sink, &config, self.cancel_of(cancel))?;
        Ok(self.outputs.borrow_mut().insert(output))
    }

    fn with_output<T>(&self, id: f64, run: impl FnOnce(&Output) -> Result<T, Error>) -> Result<T, BindingError> {
        let outputs = self.outputs.borrow();
        let output = outputs.get(id).ok_or_else(|| BindingError::closed("the output"))?;
        Ok(run(output)?)
    }

    fn adopt_writer(&self, writer: TrackWriter) -> f64 {
        let mut writers = self.writers.borrow_mut();
        let id = writers.insert(WriterEntry { writer });
        if let Some(entry) = writers.get(id) {
            let doorbell = Arc::clone(&self.doorbell);
            entry.writer.on_room(move || doorbell.post(Event::Room(id)));
        }
        id
    }

    /// Writes until it is taken, or nothing can be said to be free.
    fn write(&self, id: f64, write: impl Fn(&TrackWriter) -> Result<Written, Error>) -> Result<i32, BindingError> {
        let writers = self.writers.borrow();
        let entry = writers.get(id).ok_or_else(|| BindingError::closed("the track"))?;
        loop {
            match write(&entry.writer)? {
                Written::Yes => return Ok(TAKEN),
                Written::Full if entry.writer.arm_room() => return Ok(FULL),
                Written::Full => {}
            }
        }
    }

    fn settle_report(&self, request: u32) -> impl FnOnce(Result<Report, Error>) + Send + use<> {
        let doorbell = Arc::clone(&self.doorbell);
        move |result| {
            let outcome = result
                .map(|report| Outcome::Json(serde_json::to_string(&report).unwrap_or_default()))
                .map_err(BindingError::from);
            doorbell.post(Event::Done { request, outcome });
        }
    }
}

#[napi]
impl NativeRuntime {
    /// Begins an output; gives its number.
    #[napi]
    pub fn create_output(&self, cancel: Option<f64>, json: String) -> BindingResult<f64> {
        cross(parse::<CreateSpec>(&json).and_then(|spec| self.create(spec, cancel)))
    }

    /// A track of frames to be encoded; gives the writer's number.
    #[napi]
    pub fn add_video(&self, output: f64, json: String) -> BindingResult<f64> {
        cross((|| {
            let spec: VideoSpec = parse(&json)?;
            let config = VideoTrackConfig {
                codec: spec.codec,
                width: spec.width,
                height: spec.height,
                frame_rate: spec.frame_rate.and_then(|(num, den)| Rational::new(num, den)),
                bitrate: spec.bitrate,
                latency_mode: if spec.realtime == Some(true) {
                    LatencyMode::Realtime
                } else {
                    LatencyMode::Quality
                },
                preset: spec.preset,
                key_interval: spec.key_interval,
                threads: spec.threads.unwrap_or(0),
                queue: spec.queue.unwrap_or(4),
            };
            Ok(self.adopt_writer(self.with_output(output, |o| o.add_video(config))?))
        })())
    }

    /// A track of packets; gives the writer's number.
    #[napi]
    pub fn add_packets(&self, output: f64, json: String) -> BindingResult<f64> {
        cross((|| {
            let track = parse::<PacketsSpec>(&json)?.track()?;
            Ok(self.adopt_writer(self.with_output(output, |o| o.add_packets(track))?))
        })())
    }

    /// Copies a track of an input as it is.
    #[napi]
    pub fn copy_track(&self, output: f64, input: f64, track: u32, json: String) -> BindingResult<bool> {
        cross((|| {
            let spec: CopySpec = parse(&json)?;
            let options = PacketsOptions {
                from_us: spec.from,
                to_us: spec.to,
                ..PacketsOptions::default()
            };
            let input = self
                .inputs
                .borrow()
                .get(input)
                .cloned()
                .ok_or_else(|| BindingError::closed("the input"))?;
            self.with_output(output, |o| {
                o.copy(&input, track as usize, &options, spec.shortest == Some(true))
            })?;
            Ok(true)
        })())
    }

    /// Gives a frame to a track: 1 taken, 0 full (a ROOM event will come).
    #[napi]
    pub fn write_frame(&self, writer: f64, frame: f64, key: bool) -> BindingResult<i32> {
        cross((|| {
            let held = self.held(frame)?;
            self.write(writer, |w| w.write_frame(&held.frame, key))
        })())
    }

    /// Gives a packet to a track: 1 taken, 0 full (a ROOM event will come). Times in µs; NaN where there is none.
    #[napi]
    pub fn write_packet(
        &self,
        writer: f64,
        data: Uint8Array,
        timestamp: f64,
        decode_time: f64,
        duration: f64,
        key: bool,
    ) -> BindingResult<i32> {
        let time = |us: f64| us.is_finite().then_some(us as i64);
        let packet = Packet {
            timestamp_us: time(timestamp),
            decode_us: time(decode_time),
            duration_us: time(duration),
            key,
            ..Packet::new(Bytes::copy_from_slice(&data))
        };
        cross(self.write(writer, |w| w.write_packet(packet.clone())))
    }

    /// Ends all tracks and completes the file; settles with the report.
    #[napi]
    pub fn close_output(&self, request: u32, output: f64) -> BindingResult<bool> {
        let done = self.settle_report(request);
        cross(self.with_output(output, |o| {
            o.close(done);
            Ok(true)
        }))
    }

    /// Gives up; settles with the report.
    #[napi]
    pub fn abort_output(&self, request: u32, output: f64) -> BindingResult<bool> {
        let done = self.settle_report(request);
        cross(self.with_output(output, |o| {
            o.abort(done);
            Ok(true)
        }))
    }

    /// Numbers of an output, as JSON.
    #[napi]
    pub fn output_stats(&self, output: f64) -> String {
        let outputs = self.outputs.borrow();
        outputs
            .get(output)
            .and_then(|o| serde_json::to_string(&o.stats()).ok())
            .unwrap_or_else(|| "null".into())
    }

    /// Forgets an output that has ended, and a writer.
    #[napi]
    pub fn forget_output(&self, output: f64, writers: Vec<f64>) {
        for writer in writers {
            self.writers.borrow_mut().remove(writer);
        }
        let output = self.outputs.borrow_mut().remove(output);
        drop(output);
    }
}
