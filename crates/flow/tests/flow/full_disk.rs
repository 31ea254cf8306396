//! A full disk is told, and what is whole stays playable.

use crate::{
    sinks::{abort, config, film, playable},
    support::{Patient, close, mp4, runtime},
};
use beamline_flow::Output;
use beamline_io::{ByteSink, Cancel, FileSink, MemorySink};
use beamline_media::ErrorCode;
use std::{
    io,
    sync::{Arc, Mutex},
};

const ENOSPC: i32 = 28;

/// A disk with so many bytes of room.
#[derive(Debug)]
struct SmallDisk {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
    discarded: Arc<Mutex<bool>>,
}

impl ByteSink for SmallDisk {
    fn write(&mut self, bytes: &[u8], _: &Cancel) -> Result<(), beamline_io::Error> {
        let mut all = self.bytes.lock().unwrap();
        let fits = bytes.len().min(self.room - all.len());
        all.extend_from_slice(&bytes[..fits]);
        if fits == bytes.len() {
            return Ok(());
        }
        Err(beamline_io::Error::Os {
            action: "write",
            name: self.name().into(),
            source: io::Error::from_raw_os_error(ENOSPC),
        })
    }

    fn can_seek(&self) -> bool {
        false
    }

    fn seek(&mut self, _: u64) -> Result<(), beamline_io::Error> {
        Err(beamline_io::Error::NotSeekable {
            name: self.name().into(),
        })
    }

    fn finish(&mut self, _: &Cancel) -> Result<(), beamline_io::Error> {
        Ok(())
    }

    fn discard(&mut self) -> Result<bool, beamline_io::Error> {
        self.bytes.lock().unwrap().clear();
        *self.discarded.lock().unwrap() = true;
        Ok(true)
    }

    fn name(&self) -> &str {
        "small.mp4"
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_what_fitted_playable() {
    let runtime = runtime();
    let whole = MemorySink::new();
    let all = whole.shared();
    let output = Output::create(&runtime, Box::new(whole), &mp4(true), Cancel::new()).unwrap();
    let writer = Patient::new(output.add_video(config()).unwrap());
    film(&runtime, 6).for_each(|frame| writer.frame(&frame).unwrap());
    close(&output).unwrap();
    let all = all.lock().unwrap().clone();

    let mut before = 0;
    for percent in [1, 10, 35, 60, 90, 99] {
        let (bytes, discarded) = (Arc::default(), Arc::default());
        let disk = SmallDisk {
            bytes: Arc::clone(&bytes),
            room: all.len() * percent / 100,
            discarded: Arc::clone(&discarded),
        };
        let output = Output::create(&runtime, Box::new(disk), &mp4(true), Cancel::new()).unwrap();
        let writer = Patient::new(output.add_video(config()).unwrap());
        let at_write = film(&runtime, 6).find_map(|frame| writer.frame(&frame).err());
        let at_close = close(&output).unwrap_err();
        for error in at_write.iter().chain([&at_close]) {
            assert_eq!(
                (error.code(), error.reason()),
                (ErrorCode::Quota, "disk-full"),
                "{error}"
            );
            assert!(error.hint().is_some());
        }
        let bytes = bytes.lock().unwrap().clone();
        assert_eq!(output.was_discarded(), *discarded.lock().unwrap());
        let n = if bytes.is_empty() {
            0
        } else {
            playable(&runtime, &bytes)
        };
        assert!(n >= before && n < 150, "{percent} %: {n} after {before}");
        assert!(percent < 35 || n >= 25, "{percent} %: {n}");
        assert_eq!(n == 0, output.was_discarded(), "{percent} %: {n}");
        let left = abort(&output).unwrap();
        assert_eq!((left.complete, left.playable), (false, n > 0), "{percent} %: {left:?}");
        assert_eq!(left.fragments > 0, left.playable, "{percent} %: {left:?}");
        before = n;
    }
}

#[test]
fn the_systems_full_disk_says_the_same() {
    let runtime = runtime();
    let sink = FileSink::create("/dev/full").unwrap();
    let output = Output::create(&runtime, Box::new(sink), &mp4(true), Cancel::new()).unwrap();
    let writer = Patient::new(output.add_video(config()).unwrap());
    let at_write = film(&runtime, 6).find_map(|frame| writer.frame(&frame).err());
    let at_close = close(&output).unwrap_err();
    assert!(at_write.is_none_or(|e| e.reason() == "disk-full"));
    assert_eq!((at_close.code(), at_close.reason()), (ErrorCode::Quota, "disk-full"));
    assert!(
        std::path::Path::new("/dev/full").exists(),
        "a device is not ours to remove"
    );
}
