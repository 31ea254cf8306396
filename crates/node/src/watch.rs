//! Changes of what can be opened.

use crate::{
    error::{BindingResult, cross},
    events::Event,
    input::Stream,
    state::NativeRuntime,
};
use beamline_flow::{DeviceChanges, Pop};
use napi_derive::napi;
use std::sync::Arc;

#[napi]
impl NativeRuntime {
    /// Watches the devices of a kind, or all; gives the stream's number.
    #[napi]
    pub fn watch_devices(&self, kind: Option<String>) -> BindingResult<f64> {
        cross(
            DeviceChanges::watch(&self.runtime, kind.as_deref(), &self.root)
                .map_err(Into::into)
                .map(|changes| {
                    let mut streams = self.streams.borrow_mut();
                    let id = streams.insert(Stream::Devices(changes, None));
                    if let Some(Stream::Devices(changes, _)) = streams.get(id) {
                        let doorbell = Arc::clone(&self.doorbell);
                        changes.on_ready(move || doorbell.post(Event::Ready(id)));
                    }
                    id
                }),
        )
    }

    /// The next change that waits, as JSON: `null` with the reason as `take` gives it left for `streamState`.
    #[napi]
    pub fn take_change(&self, id: f64) -> Option<String> {
        let mut streams = self.streams.borrow_mut();
        let Some(Stream::Devices(changes, ended)) = streams.get_mut(id) else {
            return None;
        };
        loop {
            match changes.pop() {
                Pop::Item(change) => return serde_json::to_string(&change).ok(),
                Pop::Empty if changes.arm() => return None,
                Pop::Empty => {}
                Pop::End(error) => {
                    *ended = Some(error);
                    return None;
                }
            }
        }
    }
}
