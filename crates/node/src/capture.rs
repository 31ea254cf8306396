//! Captures: devices, opening, loops.

use crate::{
    error::{BindingError, BindingResult, cross},
    events::{Event, Outcome},
    input::{CLOSE_PATIENCE, Stream, parse, policy},
    state::NativeRuntime,
};
use beamline_capture::Request;
use beamline_flow::{CaptureOptions, CaptureSession, Error};
use napi_derive::napi;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenSpec {
    url: Option<String>,
    device: Option<String>,
    options: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoopSpec {
    queue: Option<usize>,
    policy: Option<String>,
    place: Option<String>,
}

impl OpenSpec {
    fn request(self, runtime: &beamline_flow::Runtime) -> Result<Request, Error> {
        let mut request = match (self.url, self.device) {
            (Some(url), _) => runtime.backends.parse(&url)?,
            (None, device) => Request::new(device.unwrap_or_default()),
        };
        for (name, value) in &self.options {
            request.set(name, value)?;
        }
        Ok(request)
    }
}

impl NativeRuntime {
    pub(crate) fn adopt_capture(&self, session: CaptureSession) -> String {
        let id = self.captures.borrow_mut().insert(session.clone());
        let doorbell = Arc::clone(&self.doorbell);
        session.on_change(move || doorbell.post(Event::Format(id)));
        json!({
            "id": id,
            "live": session.live(),
            "client": session.client(),
            "hosts": session.clients().is_some(),
            "format": format_of(&session),
        })
        .to_string()
    }
}

/// What was agreed, or has come since; null is what nobody knows yet.
fn format_of(session: &CaptureSession) -> Value {
    let (changes, caps) = (session.changes(), session.caps());
    let known = |side: u32| (side > 0).then_some(side);
    json!({
        "changes": changes,
        "copiesPerFrame": session.copies_per_frame(),
        "format": caps.pixel_format.map(|f| f.index()),
        "encoded": caps.encoded,
        "width": known(caps.size.width),
        "height": known(caps.size.height),
        "frameRate": caps.frame_rate,
        "rotation": caps.rotation.degrees(),
        "color": [caps.color.primaries_name(), caps.color.transfer_name(), caps.color.matrix_name()],
        "fullRange": caps.color.full_range,
    })
}

/// How long another process may take to answer.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(5);

#[napi]
impl NativeRuntime {
    /// Lists the devices of all backends; settles with JSON.
    #[napi]
    pub fn list_devices(&self, request: u32) {
        let runtime = self.runtime.clone();
        self.run(request, move || {
            let devices = runtime.backends.list();
            Ok(Outcome::Json(
                serde_json::to_string(&devices).unwrap_or_else(|_| "[]".into()),
            ))
        });
    }

    /// Opens a capture; settles with it as JSON.
    #[napi]
    pub fn open_capture(&self, request: u32, cancel: Option<f64>, json: String) -> BindingResult<bool> {
        cross(parse::<OpenSpec>(&json).map(|spec| {
            let runtime = self.runtime.clone();
            let cancel = self.cancel_of(cancel);
            self.run(request, move || {
                let request = spec.request(&runtime)?;
                CaptureSession::open(&runtime, &request, cancel).map(Outcome::Capture)
            });
            true
        }))
    }

    /// How often a capture's format has changed; 0 for one that is closed.
    #[napi]
    pub fn capture_changes(&self, capture: f64) -> u32 {
        self.captures.borrow().get(capture).map_or(0, CaptureSession::changes)
    }

    /// A capture's format now, as JSON; `null` for one that is closed.
    #[napi]
    pub fn capture_format(&self, capture: f64) -> String {
        let captures = self.captures.borrow();
        captures.get(capture).map_or(Value::Null, format_of).to_string()
    }

    /// Who reads and fills the share that a capture hosts, as JSON; `null` for one that hosts none or is closed.
    #[napi]
    pub fn capture_clients(&self, capture: f64) -> String {
        let captures = self.captures.borrow();
        let clients = captures.get(capture).and_then(CaptureSession::clients);
        serde_json::to_string(&clients).unwrap_or_else(|_| "null".into())
    }

    /// An end of the share that a capture hosts, for one child: its number and its fd, as JSON.
    #[napi]
    pub fn capture_invite(&self, capture: f64) -> BindingResult<String> {
        cross((|| {
            let session = self.captures.borrow().get(capture).cloned();
            let session = session.ok_or_else(|| BindingError::closed("the capture"))?;
            Ok(self.adopt_end(session.invite()?))
        })())
    }

    /// A loop over a capture's frames; gives the stream's number.
    #[napi]
    pub fn capture_frames(&self, capture: f64, json: String) -> BindingResult<f64> {
        cross((|| {
            let spec: LoopSpec = parse(&json)?;
            let options = CaptureOptions {
                queue: spec.queue,
                policy: policy(spec.policy.as_deref())?,
                label: spec.place,
            };
            let session = self.captures.borrow().get(capture).cloned();
            let session = session.ok_or_else(|| BindingError::closed("the capture"))?;
            Ok(self.adopt_frames(session.frames(options)?))
        })())
    }

    /// Why a loop over a capture has to wait for another one, as JSON; null when it has not.
    #[napi]
    pub fn stream_held_up(&self, id: f64) -> Option<String> {
        match self.streams.borrow().get(id) {
            Some(Stream::Frames(stream, _)) => stream.held_up().and_then(|how| serde_json::to_string(&how).ok()),
            _ => None,
        }
    }

    /// Hands a frame to another process that reads the same share; settles with whether it was granted it.
    #[napi]
    pub fn hand_over(&self, request: u32, capture: f64, frame: f64, to: f64) -> BindingResult<bool> {
        cross((|| {
            let session = self.captures.borrow().get(capture).cloned();
            let session = session.ok_or_else(|| BindingError::closed("the capture"))?;
            let held = self.held(frame)?;
            self.run(request, move || {
                let taken = session.hand_over(&held.frame, to as u64, HAND_OVER_PATIENCE)?;
                Ok(Outcome::Json(taken.to_string()))
            });
            Ok(true)
        })())
    }

    /// Numbers of a capture, as JSON.
    #[napi]
    pub fn capture_stats(&self, capture: f64) -> String {
        let captures = self.captures.borrow();
        captures
            .get(capture)
            .and_then(|s| serde_json::to_string(&s.stats()).ok())
            .unwrap_or_else(|| "null".into())
    }

    /// Closes a capture; settles, with its last numbers, when its threads have ended.
    #[napi]
    pub fn close_capture(&self, request: u32, id: f64) {
        let session = self.captures.borrow_mut().remove(id);
        self.run(request, move || {
            let mut stats = None;
            if let Some(session) = session {
                session.close();
                let _ = session.wait_closed(CLOSE_PATIENCE);
                stats = Some(session.stats());
            }
            Ok(Outcome::Json(
                serde_json::to_string(&stats).unwrap_or_else(|_| "null".into()),
            ))
        });
    }
}
