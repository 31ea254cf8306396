//! Shared outputs: frames of this process for others.

use crate::{
    error::{BindingError, BindingResult, cross},
    events::Outcome,
    frame_layout::color_from,
    frame_spec::{format_from, read},
    input::parse,
    state::NativeRuntime,
};
use beamline_flow::{Error, Held, Patience, SharedOutput, SharedTrackConfig};
use beamline_media::{ErrorCode, FrameInfo, Rational, Rotation, Size};
use napi_derive::napi;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// How long an output that is closed waits for readers to be given what waits for them: the process may end then.
const SHOWN_PATIENCE: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
struct CreateSpec {
    name: String,
    clients: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TrackSpec {
    width: Option<u32>,
    height: Option<u32>,
    frame_rate: Option<(u32, u32)>,
}

/// A picture to be drawn.
#[derive(Deserialize)]
struct DrawSpec {
    format: usize,
    width: Option<u32>,
    height: Option<u32>,
    timestamp: i64,
    duration: Option<i64>,
    rotation: Option<f64>,
    flip: Option<bool>,
    color: Option<[i32; 4]>,
}

impl DrawSpec {
    fn info(&self, output: &SharedOutput) -> Result<FrameInfo, BindingError> {
        let known = output.size();
        let side = |said: Option<u32>, of: fn(Size) -> u32| said.or(known.map(of));
        let sides = side(self.width, |s| s.width).zip(side(self.height, |s| s.height));
        let (width, height) = sides.ok_or_else(|| {
            BindingError::new(
                ErrorCode::InvalidConfig,
                "invalid-argument",
                "expected 'width' and 'height' here or in addVideo() but received neither",
            )
        })?;
        let mut info = FrameInfo::new(format_from(self.format)?, Size::new(width, height));
        info.timestamp_us = Some(self.timestamp);
        info.duration_us = self.duration;
        info.rotation = Rotation::from_degrees(self.rotation.unwrap_or(0.0));
        info.flip = self.flip.unwrap_or(false);
        info.color = self.color.map_or(info.color, color_from);
        info.check().map_err(Error::from)?;
        Ok(info)
    }
}

impl NativeRuntime {
    fn shared_output(&self, id: f64) -> Result<SharedOutput, BindingError> {
        let output = self.shared_outputs.borrow().get(id).cloned();
        output.ok_or_else(|| BindingError::closed("the output"))
    }

    fn patience(&self, cancel: Option<f64>, timeout_ms: f64) -> Patience {
        Patience {
            timeout: Duration::from_secs_f64(timeout_ms.max(0.0) / 1000.0),
            cancel: self.cancel_of(cancel),
        }
    }

    pub(crate) fn adopt_shared_output(&self, output: SharedOutput) -> String {
        let name = output.name().to_owned();
        let id = self.shared_outputs.borrow_mut().insert(output);
        json!({ "id": id, "name": name }).to_string()
    }

    /// Ends an output, by `end`; settles with its last numbers.
    fn end_shared(&self, request: u32, id: f64, end: impl FnOnce(&SharedOutput) + Send + 'static) {
        let output = self.shared_outputs.borrow_mut().remove(id);
        self.run(request, move || {
            let stats = output.map(|output| {
                end(&output);
                output.stats()
            });
            let json = serde_json::to_string(&stats);
            Ok(Outcome::Json(json.unwrap_or_else(|_| "null".into())))
        });
    }
}

/// Whether there is nothing to be had now, and waiting might help.
fn none_now(error: &Error) -> bool {
    error.code() == ErrorCode::Quota
}

#[napi]
impl NativeRuntime {
    /// Takes a name; settles with the output as JSON.
    #[napi]
    pub fn create_shared_output(&self, request: u32, json: String) -> BindingResult<bool> {
        cross((|| {
            let spec: CreateSpec = parse(&json)?;
            let runtime = self.runtime.clone();
            self.run(request, move || {
                SharedOutput::create(&runtime, &spec.name, spec.clients).map(Outcome::SharedOutput)
            });
            Ok(true)
        })())
    }

    /// Says what its pictures are.
    #[napi]
    pub fn add_shared_video(&self, output: f64, json: String) -> BindingResult<bool> {
        cross((|| {
            let spec: TrackSpec = parse(&json)?;
            self.shared_output(output)?.add_video(SharedTrackConfig {
                width: spec.width,
                height: spec.height,
                frame_rate: spec.frame_rate.and_then(|(num, den)| Rational::new(num, den)),
            })?;
            Ok(true)
        })())
    }

    /// An empty frame in the output's memory: `[id, layout]`, or nothing: then `awaitSharedFrame` waits for one.
    #[napi]
    pub fn shared_frame(&self, output: f64, json: String) -> BindingResult<Vec<f64>> {
        cross((|| {
            let output = self.shared_output(output)?;
            let info = read::<DrawSpec>(&json)?.info(&output)?;
            match output.frame(info, None) {
                Ok(frame) => {
                    let (id, layout) = self.adopt(Held::free(frame.freeze()));
                    Ok(vec![id, layout as f64])
                }
                Err(error) if none_now(&error) => Ok(Vec::new()),
                Err(error) => Err(error.into()),
            }
        })())
    }

    /// The same, on another thread, with patience; settles with `[id, layout]`.
    #[napi]
    pub fn await_shared_frame(
        &self,
        request: u32,
        cancel: Option<f64>,
        output: f64,
        json: String,
        timeout_ms: f64,
    ) -> BindingResult<bool> {
        cross((|| {
            let output = self.shared_output(output)?;
            let info = read::<DrawSpec>(&json)?.info(&output)?;
            let patience = self.patience(cancel, timeout_ms);
            self.run(request, move || {
                let frame = output.frame(info, Some(&patience))?;
                Ok(Outcome::Frame(frame.freeze()))
            });
            Ok(true)
        })())
    }

    /// Shows a frame to readers. False: it must be copied first, by `writeSharedCopy`.
    #[napi]
    pub fn write_shared(&self, output: f64, frame: f64) -> BindingResult<bool> {
        cross((|| {
            let held = self.held(frame)?;
            let output = self.shared_output(output)?;
            if output.must_copy(&held.frame) {
                return Ok(false);
            }
            output.write(&held.frame, None)?;
            Ok(true)
        })())
    }

    /// Copies a frame into the output's memory and shows that, on another thread; settles with `true`.
    #[napi]
    pub fn write_shared_copy(
        &self,
        request: u32,
        cancel: Option<f64>,
        output: f64,
        frame: f64,
        timeout_ms: f64,
    ) -> BindingResult<bool> {
        cross((|| {
            let held = self.held(frame)?;
            let output = self.shared_output(output)?;
            let patience = self.patience(cancel, timeout_ms);
            self.run(request, move || {
                output.write(&held.frame, Some(&patience))?;
                Ok(Outcome::Json("true".into()))
            });
            Ok(true)
        })())
    }

    /// Numbers of a shared output, as JSON; `null` when it has ended.
    #[napi]
    pub fn shared_output_stats(&self, output: f64) -> String {
        let outputs = self.shared_outputs.borrow();
        outputs
            .get(output)
            .and_then(|o| serde_json::to_string(&o.stats()).ok())
            .unwrap_or_else(|| "null".into())
    }

    /// Ends a shared output; settles, with its last numbers, when readers were given what waited for them, or soon.
    #[napi]
    pub fn close_shared_output(&self, request: u32, output: f64) {
        self.end_shared(request, output, |output| {
            output.close();
            let _ = output.wait_shown(SHOWN_PATIENCE);
        });
    }

    /// Gives a shared output up: readers get an error. Settles with its last numbers.
    #[napi]
    pub fn abort_shared_output(&self, request: u32, output: f64) {
        self.end_shared(request, output, SharedOutput::abort);
    }
}
