//! `stamped:us=1000`: an empty 64×64 picture every so many µs. Its timestamp is `CLOCK_MONOTONIC` in ns (no µs!), taken as the last
//! thing before the frame is returned to the capture thread, which pushes it: a little early, so the wake is measured a little long.

use beamline_arena::Wait;
use beamline_capture::{Backend, Context, DeviceInfo, Error, Event, Request, Source, SourceStats};
use beamline_io::Cancel;
use beamline_media::{Caps, ColorSpace, FrameInfo, FramePool, PixelFormat, Rational, Size};
use rustix::time::{ClockId, clock_gettime};
use std::{sync::Arc, thread, time::Duration};

const SIZE: Size = Size::new(64, 64);

#[derive(Debug)]
pub(crate) struct Stamped;

#[derive(Debug)]
struct StampedSource {
    pool: Arc<FramePool>,
    interval: Duration,
    captured: u64,
}

impl Backend for Stamped {
    fn slug(&self) -> &'static str {
        "stamped"
    }

    fn kind(&self) -> &'static str {
        "pattern"
    }

    fn examples(&self) -> &'static [&'static str] {
        &["stamped:1000"]
    }

    fn list(&self) -> Vec<DeviceInfo> {
        Vec::new()
    }

    fn parse(&self, url: &str) -> Option<Result<Request, Error>> {
        url.starts_with("stamped:").then(|| Request::from_url(url))
    }

    fn open(&self, request: &Request, context: &Context) -> Result<Box<dyn Source>, Error> {
        let us = request.device.trim_start_matches("stamped:").parse().unwrap_or(1000);
        Ok(Box::new(StampedSource {
            pool: context.frame_pool("stamped", PixelFormat::I420, SIZE)?,
            interval: Duration::from_micros(us),
            captured: 0,
        }))
    }
}

impl Source for StampedSource {
    fn caps(&self) -> Caps {
        Caps {
            frame_rate: Rational::from_rate(1.0 / self.interval.as_secs_f64()),
            color: ColorSpace::REC601,
            ..Caps::raw(PixelFormat::I420, SIZE)
        }
    }

    fn live(&self) -> bool {
        true
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Event, Error> {
        cancel.check()?;
        thread::sleep(self.interval);
        let frame = self.pool.acquire(FrameInfo::new(PixelFormat::I420, SIZE), Wait::Grow)?;
        self.captured += 1;
        let frame = frame.freeze();
        let now = clock_gettime(ClockId::Monotonic);
        Ok(Event::Frame(frame.with_info(|info| {
            info.timestamp_us = Some(now.tv_sec * 1_000_000_000 + now.tv_nsec);
        })))
    }

    fn stats(&self) -> SourceStats {
        SourceStats {
            captured: self.captured,
            dropped: 0,
        }
    }
}
