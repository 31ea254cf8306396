//! What can be opened, as it comes and goes: the watches of all backends, each on a thread and in a queue of its own.
//!
//! ```text
//! backend ─ DeviceWatch::next, or list() once ─ queue of 64, block ─┐
//! backend ─ …                                                      ─┴─ DeviceChanges
//! ```
//!
//! A full queue makes its watch wait: no change is dropped, but what comes and goes meanwhile is told as it is by then.

use crate::{
    Error, Runtime,
    channel::{Policy, Pop, Receiver, Sender, channel},
};
use beamline_capture::{Backend, ChangeType, DeviceChange, Registry};
use beamline_io::Cancel;
use std::sync::Arc;

/// Changes of one backend that may wait.
const QUEUE: usize = 64;

/// Changes of what can be opened: first all that is there, as added. It ends only with an error. Dropping it ends its threads.
#[derive(Debug)]
pub struct DeviceChanges {
    /// Of the backends that have more to say.
    receivers: Vec<Receiver<DeviceChange>>,
    cancel: Cancel,
}

impl DeviceChanges {
    /// Watches the backends of a kind, or all, until `cancel` turns. Never blocks: what has to be asked is asked on threads, and what a
    /// watch says that cannot be is the last word of the changes.
    ///
    /// # Errors
    /// [`Error::Internal`] when there are no more threads.
    pub fn watch(runtime: &Runtime, kind: Option<&str>, cancel: &Cancel) -> Result<Self, Error> {
        let mut changes = DeviceChanges {
            receivers: Vec::new(),
            cancel: cancel.child(),
        };
        for (at, backend) in runtime.backends.backends().enumerate() {
            if kind.is_some_and(|kind| backend.kind() != kind) {
                continue;
            }
            let (sender, receiver) = channel(QUEUE, Policy::Block);
            let driver = Driver {
                backends: Arc::clone(&runtime.backends),
                at,
                sender,
                cancel: changes.cancel.clone(),
            };
            changes.receivers.push(receiver);
            runtime.threads.spawn("bl-devices", move || driver.run())?;
        }
        Ok(changes)
    }

    /// The next change, if there is one now. Never waits.
    #[must_use]
    pub fn pop(&mut self) -> Pop<DeviceChange> {
        let mut at = 0;
        while let Some(receiver) = self.receivers.get(at) {
            match receiver.pop() {
                Pop::Item(change) => return Pop::Item(change),
                Pop::Empty => at += 1,
                // Its devices never change; that is not the end of the others'.
                Pop::End(None) => drop(self.receivers.remove(at)),
                Pop::End(error) => return Pop::End(error),
            }
        }
        Pop::Empty
    }

    /// Once, before the first [`DeviceChanges::arm`]: how to tell that a change or the end is there.
    pub fn on_ready(&self, notify: impl Fn() + Send + Sync + 'static) {
        let notify = Arc::new(notify);
        for receiver in &self.receivers {
            let notify = Arc::clone(&notify);
            receiver.on_ready(move || notify());
        }
    }

    /// Asks to be notified. False: look again instead.
    #[must_use]
    pub fn arm(&self) -> bool {
        self.receivers.iter().all(Receiver::arm)
    }
}

impl Drop for DeviceChanges {
    fn drop(&mut self) {
        // One that waits for room ends with the receivers.
        self.cancel.cancel();
    }
}

/// One backend's thread.
struct Driver {
    backends: Arc<Registry>,
    at: usize,
    sender: Sender<DeviceChange>,
    cancel: Cancel,
}

impl Driver {
    fn run(self) {
        let how = match self.backends.backends().nth(self.at) {
            Some(backend) => self.drive(backend),
            None => Ok(()),
        };
        self.sender.end(how.map_err(Error::from));
    }

    fn drive(&self, backend: &dyn Backend) -> Result<(), beamline_capture::Error> {
        let Some(mut watch) = backend.watch()? else {
            for device in backend.list() {
                let change = ChangeType::Added;
                if self.sender.push(DeviceChange { change, device }).is_err() {
                    break;
                }
            }
            return Ok(());
        };
        while self.sender.push(watch.next(&self.cancel)?).is_ok() {}
        Ok(())
    }
}
