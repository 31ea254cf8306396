//! Shares: a source's frames for other processes.

use crate::{
    error::{BindingError, BindingResult, cross},
    events::Outcome,
    input::{CLOSE_PATIENCE, FramesSpec, parse},
    state::NativeRuntime,
};
use beamline_flow::{Pace, Share, ShareOptions};
use napi_derive::napi;
use serde::Deserialize;
use serde_json::json;
use std::os::fd::{AsRawFd, OwnedFd};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShareSpec {
    name: String,
    clients: Option<usize>,
    pace: Option<String>,
}

impl ShareSpec {
    fn options(&self) -> ShareOptions {
        let default = ShareOptions::default();
        ShareOptions {
            clients: self.clients.unwrap_or(default.clients),
            pace: match self.pace.as_deref() {
                Some("fast") => Pace::Fast,
                _ => default.pace,
            },
        }
    }
}

impl NativeRuntime {
    pub(crate) fn adopt_share(&self, share: Share) -> String {
        let (name, url) = (share.name().to_owned(), share.url());
        let id = self.shares.borrow_mut().insert(share);
        json!({ "id": id, "name": name, "url": url }).to_string()
    }

    /// Keeps an end for a child until `closeShareEnd`; its number and its fd, as JSON.
    pub(crate) fn adopt_end(&self, end: OwnedFd) -> String {
        let fd = end.as_raw_fd();
        let id = self.ends.borrow_mut().insert(end);
        json!({ "id": id, "fd": fd }).to_string()
    }
}

#[napi]
impl NativeRuntime {
    /// Shares a capture; settles with the share as JSON.
    #[napi]
    pub fn share_capture(&self, request: u32, capture: f64, json: String) -> BindingResult<bool> {
        cross((|| {
            let spec: ShareSpec = parse(&json)?;
            let session = self.captures.borrow().get(capture).cloned();
            let session = session.ok_or_else(|| BindingError::closed("the capture"))?;
            let runtime = self.runtime.clone();
            self.run(request, move || {
                Share::of_capture(&runtime, &session, &spec.name, &spec.options()).map(Outcome::Share)
            });
            Ok(true)
        })())
    }

    /// Shares the pictures of a track; settles with the share as JSON.
    #[napi]
    pub fn share_track(
        &self,
        request: u32,
        input: f64,
        track: u32,
        frames: String,
        json: String,
    ) -> BindingResult<bool> {
        cross((|| {
            let spec: ShareSpec = parse(&json)?;
            let frames = parse::<FramesSpec>(&frames)?.frames()?;
            let input = self.inputs.borrow().get(input).cloned();
            let input = input.ok_or_else(|| BindingError::closed("the input"))?;
            let runtime = self.runtime.clone();
            self.run(request, move || {
                Share::of_input(&runtime, &input, track as usize, &frames, &spec.name, &spec.options())
                    .map(Outcome::Share)
            });
            Ok(true)
        })())
    }

    /// Numbers of a share, as JSON; `null` when it is closed.
    #[napi]
    pub fn share_stats(&self, id: f64) -> String {
        let shares = self.shares.borrow();
        shares
            .get(id)
            .and_then(|s| serde_json::to_string(&s.stats()).ok())
            .unwrap_or_else(|| "null".into())
    }

    /// An end of a share for one child: its number and its fd, as JSON.
    #[napi]
    pub fn share_invite(&self, id: f64) -> BindingResult<String> {
        cross((|| {
            let shares = self.shares.borrow();
            let share = shares.get(id).ok_or_else(|| BindingError::closed("the share"))?;
            Ok(self.adopt_end(share.invite()?))
        })())
    }

    /// Closes our copy of such an end.
    #[napi]
    pub fn close_share_end(&self, id: f64) {
        let end = self.ends.borrow_mut().remove(id);
        drop(end);
    }

    /// Ends a share; settles, with its last numbers, when its thread has ended.
    #[napi]
    pub fn close_share(&self, request: u32, id: f64) {
        let share = self.shares.borrow_mut().remove(id);
        self.run(request, move || {
            let mut stats = None;
            if let Some(share) = share {
                stats = Some(share.stats());
                share.close();
                let _ = share.wait_closed(CLOSE_PATIENCE);
            }
            Ok(Outcome::Json(
                serde_json::to_string(&stats).unwrap_or_else(|_| "null".into()),
            ))
        });
    }
}
