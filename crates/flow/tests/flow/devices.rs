//! Watches of what can be opened: their queues, their threads, their end.

use crate::support::{LONG, runtime};
use beamline_capture::{
    Backend, ChangeType, Context, DeviceChange, DeviceInfo, DeviceWatch, Error, Registry, Request, Source,
};
use beamline_flow::{DeviceChanges, Pop, Runtime};
use beamline_io::Cancel;
use beamline_testkit::capture::FakeBackend;
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Its devices come one after the other, as fast as they are heard; it fails after `count` of them.
#[derive(Clone, Copy, Debug)]
struct Flood {
    count: u32,
}

#[derive(Debug)]
struct FloodWatch {
    next: u32,
    count: u32,
}

fn device(number: u32) -> DeviceInfo {
    DeviceInfo {
        id: format!("flood:{number}"),
        kind: "flood",
        name: number.to_string(),
        bus: None,
        formats: Vec::new(),
    }
}

impl Backend for Flood {
    fn slug(&self) -> &'static str {
        "flood"
    }

    fn kind(&self) -> &'static str {
        "flood"
    }

    fn examples(&self) -> &'static [&'static str] {
        &["flood:0"]
    }

    fn list(&self) -> Vec<DeviceInfo> {
        (0..self.count).map(device).collect()
    }

    fn watch(&self) -> Result<Option<Box<dyn DeviceWatch>>, Error> {
        let count = self.count;
        Ok(Some(Box::new(FloodWatch { next: 0, count })))
    }

    fn parse(&self, _: &str) -> Option<Result<Request, Error>> {
        None
    }

    fn open(&self, request: &Request, _: &Context) -> Result<Box<dyn Source>, Error> {
        Err(Error::DeviceLost {
            device: request.device.clone(),
        })
    }
}

impl DeviceWatch for FloodWatch {
    fn next(&mut self, cancel: &Cancel) -> Result<DeviceChange, Error> {
        cancel.check()?;
        if self.next == self.count {
            return Err(Error::DeviceLost { device: "all".into() });
        }
        self.next += 1;
        Ok(DeviceChange {
            change: ChangeType::Added,
            device: device(self.next - 1),
        })
    }
}

fn with(backends: Vec<Box<dyn Backend>>) -> Runtime {
    let mut registry = Registry::new();
    backends.into_iter().for_each(|backend| registry.register(backend));
    Runtime {
        backends: Arc::new(registry),
        ..runtime()
    }
}

/// The next word, waited for as JavaScript does: armed, then woken.
fn next(changes: &mut DeviceChanges) -> Pop<DeviceChange> {
    let deadline = Instant::now() + LONG;
    loop {
        match changes.pop() {
            Pop::Empty if changes.arm() => thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
            Pop::Empty => {}
            other => return other,
        }
    }
}

fn watch(runtime: &Runtime, kind: Option<&str>) -> DeviceChanges {
    let changes = DeviceChanges::watch(runtime, kind, &Cancel::new()).unwrap();
    let me = thread::current();
    changes.on_ready(move || me.unpark());
    changes
}

#[test]
fn devices_that_never_change_are_told_once_and_their_threads_end() {
    let runtime = with(vec![Box::new(FakeBackend)]);
    let mut changes = watch(&runtime, None);
    for device in FakeBackend.list() {
        let change = ChangeType::Added;
        let Pop::Item(told) = next(&mut changes) else {
            panic!("a device is missing");
        };
        assert_eq!(told, DeviceChange { change, device });
    }
    assert!(runtime.threads.wait(LONG));
    assert!(matches!(changes.pop(), Pop::Empty), "that is no end");
}

#[test]
fn a_watch_waits_for_a_loop_that_is_busy_and_loses_nothing() {
    let runtime = with(vec![Box::new(Flood { count: 1000 }), Box::new(FakeBackend)]);
    let mut changes = watch(&runtime, Some("flood"));
    thread::sleep(Duration::from_millis(20));
    for number in 0..1000 {
        let Pop::Item(told) = next(&mut changes) else {
            panic!("device {number} is missing");
        };
        assert_eq!(told.device, device(number));
    }
    let Pop::End(Some(error)) = next(&mut changes) else {
        panic!("what the watch says last is the end");
    };
    assert_eq!(error.reason(), "device-lost");
}

#[test]
fn a_watch_that_is_dropped_ends_whether_it_waits_for_room_or_for_the_system() {
    let runtime = with(vec![
        Box::new(Flood { count: u32::MAX }),
        Box::new(beamline_capture::backends::shared::Shared),
    ]);
    let begin = Instant::now();
    for _ in 0..20 {
        let mut changes = watch(&runtime, None);
        assert!(matches!(next(&mut changes), Pop::Item(_)));
        drop(changes);
    }
    assert!(runtime.threads.wait(LONG));
    println!("20 watches begun and ended in {:?}", begin.elapsed());
    let cancel = Cancel::new();
    let _changes = DeviceChanges::watch(&runtime, Some("shared"), &cancel).unwrap();
    cancel.cancel();
    assert!(runtime.threads.wait(LONG), "the wish to stop alone is enough");
}
