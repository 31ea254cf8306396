//! An opened pattern.

use super::{
    color::{Matrix, space_of},
    counter::Counter,
    layout::{formats, layout_of},
    moving::Moving,
    pictures::PatternKind,
    template::Template,
};
use crate::{Context, Error, Event, Request, Source, SourceStats, pace::Pace};
use beamline_io::Cancel;
use beamline_media::{Caps, FrameInfo, FramePool, PixelFormat, Rational, Size};
use std::sync::Arc;

/// Options of every pattern.
const OPTIONS: &[&str] = &["live", "frames", "counter"];
const DEFAULT_SIZE: Size = Size::new(1280, 720);
const DEFAULT_RATE: Rational = Rational { num: 30, den: 1 };

/// Draws picture after picture, straight into the slots that are given out.
#[derive(Debug)]
pub(crate) struct PatternSource {
    info: FrameInfo,
    template: Template,
    moving: Option<Box<dyn Moving>>,
    counter: Option<Counter>,
    pace: Pace,
    pool: Arc<FramePool>,
}

impl PatternSource {
    pub(crate) fn open(kind: &'static PatternKind, request: &Request, context: &Context) -> Result<Self, Error> {
        request.allow_options("pattern", &[OPTIONS, kind.options].concat())?;
        let size = Size::new(
            request.width.unwrap_or(DEFAULT_SIZE.width),
            request.height.unwrap_or(DEFAULT_SIZE.height),
        );
        let format = request.pixel_format.unwrap_or(PixelFormat::I420);
        if layout_of(format).is_none() {
            return Err(Error::Format {
                backend: "pattern",
                format,
                known: formats().collect(),
            });
        }
        let mut info = FrameInfo::new(format, size);
        info.color = space_of(format, size.height);
        info.check()?;
        let rate = request.rate_or(DEFAULT_RATE)?;
        let live = request.flag("live", true)?;
        let frames = request.number("frames", "a whole number of frames")?;
        let with_counter = request.flag("counter", true)?;

        let matrix = Matrix::of(&info.color, size.height);
        let picture = kind.build(request, size)?;
        let mut moving = picture.moving;
        if let Some(moving) = &mut moving {
            moving.prepare(format, &matrix);
        }
        Ok(PatternSource {
            info,
            template: Template::new(format, size, &matrix, &picture.ground),
            moving,
            counter: with_counter.then(|| Counter::new(format, size, &matrix)).flatten(),
            pace: Pace::new(Arc::clone(&context.clock), rate, live, frames),
            pool: context.frame_pool("pattern", format, size)?,
        })
    }
}

impl Source for PatternSource {
    fn caps(&self) -> Caps {
        Caps {
            frame_rate: Some(self.pace.rate()),
            color: self.info.color,
            ..Caps::raw(self.info.format, self.info.coded)
        }
    }

    fn live(&self) -> bool {
        self.pace.live()
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Event, Error> {
        loop {
            let Some(n) = self.pace.wait(cancel)? else {
                return Ok(Event::End);
            };
            let mut info = self.info;
            let timestamp_us = self.pace.due_us(n);
            info.timestamp_us = Some(timestamp_us);
            info.duration_us = Some(self.pace.duration_us(n));
            let Some(mut frame) = self.pace.slot(&self.pool, info, cancel)? else {
                continue;
            };
            self.template.draw(&mut frame);
            if let Some(moving) = &mut self.moving {
                moving.draw(&mut frame, n);
            }
            if let Some(counter) = &self.counter {
                counter.draw(&mut frame, n, timestamp_us);
            }
            self.pace.done();
            return Ok(Event::Frame(frame.freeze()));
        }
    }

    fn stats(&self) -> SourceStats {
        self.pace.stats()
    }
}
