//! A backend whose devices do one thing each.

use beamline_capture::{Backend, Context, DeviceInfo, Error, Event, Request, Source, SourceStats};
use beamline_io::Cancel;
use beamline_media::{Caps, EncodedKind, Frame, FrameInfo, FramePool, Packet, PixelFormat, Rational, Size};
use beamline_media::{Clock, FrameError};
use std::{sync::Arc, time::Duration};

/// Registers as `fake`:
///
/// | URL | does |
/// |---|---|
/// | `fake:frames` | gives grey frames whose bytes are their number modulo 256; not live |
/// | `fake:live` | the same, at 100 frames per second, live |
/// | `fake:packets` | gives packets that are their number, eight bytes, big endian; no decoder takes them |
/// | `fake:changes` | after each second frame, changes between 64×36 and 32×18, and says so |
/// | `fake:fails` | gives `after` frames (default 2), then fails with DeviceLost for good |
/// | `fake:blocks` | gives `after` frames (default 0), then nothing until it is cancelled |
///
/// `frames=N` ends any of them after N.
#[derive(Clone, Copy, Debug)]
pub struct FakeBackend;

const DEVICES: &[&str] = &["frames", "live", "packets", "changes", "fails", "blocks"];
const SCHEME: &str = "fake:";
const RATE: Rational = Rational { num: 100, den: 1 };
const SIZES: [Size; 2] = [Size::new(64, 36), Size::new(32, 18)];

impl Backend for FakeBackend {
    fn slug(&self) -> &'static str {
        "fake"
    }

    fn kind(&self) -> &'static str {
        "fake"
    }

    fn examples(&self) -> &'static [&'static str] {
        &["fake:frames"]
    }

    fn list(&self) -> Vec<DeviceInfo> {
        let device = |name: &&str| DeviceInfo {
            id: format!("{SCHEME}{name}"),
            kind: self.kind(),
            name: (*name).into(),
            bus: None,
            formats: Vec::new(),
        };
        DEVICES.iter().map(device).collect()
    }

    fn parse(&self, url: &str) -> Option<Result<Request, Error>> {
        url.starts_with(SCHEME).then(|| Request::from_url(url))
    }

    fn open(&self, request: &Request, context: &Context) -> Result<Box<dyn Source>, Error> {
        request.allow_options("fake", &["frames", "after"])?;
        let name = request.device.trim_start_matches(SCHEME);
        let does = DEVICES.iter().copied().find(|d| *d == name);
        let does = does.ok_or_else(|| Error::UnknownDevice {
            device: request.device.clone(),
            known: DEVICES.to_vec(),
        })?;
        for (option, wish, is) in [
            ("width", request.width, SIZES[0].width),
            ("height", request.height, SIZES[0].height),
        ] {
            if wish.is_some_and(|wish| wish != is) {
                return Err(Error::BadOption {
                    option: option.into(),
                    expected: is.to_string(),
                    got: wish.unwrap_or_default().to_string(),
                });
            }
        }
        Ok(Box::new(FakeSource {
            does,
            rate: request.rate_or(RATE)?,
            end: request.number("frames", "a number")?.unwrap_or(u64::MAX),
            after: request
                .number("after", "a number")?
                .unwrap_or(if does == "fails" { 2 } else { 0 }),
            next: 0,
            told: 0,
            start_us: None,
            stats: SourceStats::default(),
            clock: Arc::clone(&context.clock),
            pool: context.frame_pool("fake", PixelFormat::GRAY8, SIZES[0])?,
        }))
    }
}

#[derive(Debug)]
struct FakeSource {
    does: &'static str,
    rate: Rational,
    end: u64,
    after: u64,
    next: u64,
    /// Which of [`SIZES`] was told last.
    told: usize,
    start_us: Option<i64>,
    stats: SourceStats,
    clock: Arc<dyn Clock>,
    pool: Arc<FramePool>,
}

impl FakeSource {
    fn frame(&mut self, cancel: &Cancel) -> Result<Option<Frame>, Error> {
        let mut info = FrameInfo::new(PixelFormat::GRAY8, SIZES[self.told]);
        info.timestamp_us = Some(self.rate.nth_us(self.next));
        info.duration_us = Some(self.rate.nth_us(self.next + 1) - self.rate.nth_us(self.next));
        let woken = Arc::clone(&self.pool);
        let _hook = cancel.on_cancel(move || woken.interrupt());
        let wait = beamline_arena::Wait::Until {
            deadline: None,
            cancelled: &|| cancel.is_cancelled(),
        };
        let wait = if self.live() { beamline_arena::Wait::Never } else { wait };
        let mut frame = match self.pool.acquire(info, wait) {
            Ok(frame) => frame,
            Err(FrameError::Memory(beamline_arena::Error::Cancelled)) => return Err(Error::Cancelled),
            Err(FrameError::Memory(beamline_arena::Error::Empty { .. })) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        frame.plane_mut(0).0.fill(self.next as u8);
        Ok(Some(frame.freeze()))
    }

    fn packet(&self) -> Packet {
        Packet {
            timestamp_us: Some(self.rate.nth_us(self.next)),
            key: true,
            ..Packet::new(self.next.to_be_bytes().to_vec().into())
        }
    }

    /// Sleeps until the next picture is due, when live.
    fn pace(&mut self, cancel: &Cancel) -> Result<(), Error> {
        cancel.check()?;
        if !self.live() {
            return Ok(());
        }
        let now = self.clock.now_us();
        let due = *self.start_us.get_or_insert(now) + self.rate.nth_us(self.next);
        let reached = self.clock.sleep_until(due, &|| cancel.is_cancelled());
        if reached { Ok(()) } else { Err(Error::Cancelled) }
    }
}

impl Source for FakeSource {
    fn caps(&self) -> Caps {
        let size = SIZES[self.told];
        let caps = match self.does {
            "packets" => Caps::encoded(EncodedKind("fake"), size),
            _ => Caps::raw(PixelFormat::GRAY8, size),
        };
        Caps {
            frame_rate: Some(self.rate),
            ..caps
        }
    }

    fn live(&self) -> bool {
        self.does == "live"
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Event, Error> {
        loop {
            self.pace(cancel)?;
            if self.next >= self.end {
                return Ok(Event::End);
            }
            let size = (self.next / 2 % 2) as usize;
            if self.does == "changes" && size != self.told {
                self.told = size;
                return Ok(Event::Caps(self.caps()));
            }
            if self.does == "fails" && self.next >= self.after {
                return Err(Error::DeviceLost {
                    device: "fake:fails".into(),
                });
            }
            if self.does == "blocks" && self.next >= self.after {
                while !cancel.is_cancelled() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                return Err(Error::Cancelled);
            }
            let event = match self.does {
                "packets" => Some(Event::Packet(self.packet())),
                _ => self.frame(cancel)?.map(Event::Frame),
            };
            self.next += 1;
            match event {
                Some(event) => {
                    self.stats.captured += 1;
                    return Ok(event);
                }
                None => self.stats.dropped += 1,
            }
        }
    }

    fn stats(&self) -> SourceStats {
        self.stats
    }
}
