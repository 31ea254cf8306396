//! Frames of another process of the same user, in its memory: `shared:studio`, `shared:/path/to.socket`, or `shared:fd:3` by a socket that
//! was inherited (`share.invite()` in the parent).
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `hold` | 4 | frames that may be open at once, 1 to 24; the owner reserves them for this reader |
//! | `queue` | 4 | frames that may wait at the owner's while as many are held, 1 to 32 |
//! | `policy` | `latest` | what happens when they do: `latest`, `drop-oldest`, `drop-newest`; the owner never waits, so there is no `block` |
//! | `takeHanded` | `false` | whether frames come too that other readers hand over (`FrameInfo::handed_by`), in whatever order of time |
//! | `host` | `false` | whether the frames come from a process that produces them (`createOutput('shared:NAME')`) into memory of ours: see `hosted.rs`; then none of those above |
//! | `clients` | 64 | with `host`: readers at once, 1 to 1024 |
//!
//! Size, rate and format are the owner's and cannot be asked for; what the owner does not know yet comes with the first picture. The
//! protocol is `beamline_link`'s; nothing is copied.

use crate::{
    Backend, ChangeType, Context, DeviceChange, DeviceInfo, DeviceWatch, Error, Event, FormatOffer, HandOver, Request,
    Source, SourceStats, request::bad,
};
use beamline_arena::{Access, PoolConfig};
use beamline_io::{Cancel, CancelHook};
use beamline_link::{ClientPolicy, Next, Passer, Place, Reader, ReaderOptions, ShareChange, Watch};
use beamline_media::{Caps, Frame, Rational, Size};
use std::{sync::Arc, time::Duration};

/// The backend.
#[derive(Clone, Copy, Debug)]
pub struct Shared;

const SCHEME: &str = "shared:";
/// Begins the number of an inherited socket. No name can: they have no colon.
const INHERITED: &str = "fd:";
/// Frames between the link and a loop's hands: one in each loop's queue, one on its way.
const ON_THE_WAY: u32 = 2;
const HOLD: u32 = 4;
const HOLD_MAX: u32 = 24;
const CLIENTS_MAX: usize = 1024;
/// How long a wait for the next frame may keep us from an owner's death or a cancel. Both end it at once; but for this, an owner that lies
/// could take them away from us for good.
const AT_MOST: Duration = Duration::from_secs(10);

impl Backend for Shared {
    fn slug(&self) -> &'static str {
        "shared"
    }

    fn kind(&self) -> &'static str {
        "shared"
    }

    fn examples(&self) -> &'static [&'static str] {
        &["shared:studio", "shared:fd:3"]
    }

    fn list(&self) -> Vec<DeviceInfo> {
        let known = |name: String| {
            // A dead name is removed by the look.
            let (caps, _) = Reader::look(&Place::new(&name).ok()?).ok()?;
            Some(device(self.kind(), &name, &caps))
        };
        beamline_link::list().into_iter().filter_map(known).collect()
    }

    fn watch(&self) -> Result<Option<Box<dyn DeviceWatch>>, Error> {
        Ok(Some(Box::new(ShareWatch(Watch::open()?))))
    }

    fn parse(&self, url: &str) -> Option<Result<Request, Error>> {
        url.starts_with(SCHEME).then(|| {
            let request = Request::from_url(url)?;
            if hosts(&request)?.is_none() {
                options(&request)?;
            }
            Ok(request)
        })
    }

    fn open(&self, request: &Request, context: &Context) -> Result<Box<dyn Source>, Error> {
        context.cancel.check()?;
        if let Some((place, readers)) = hosts(request)? {
            return super::hosted::open(place, readers, context);
        }
        let (whence, options) = options(request)?;
        let pool = context.arena.pool(PoolConfig::new(&request.device));
        let cancelled = || context.cancel.is_cancelled();
        let reader = match whence {
            Whence::Place(place) => Reader::connect(&place, &pool, options, &cancelled)?,
            Whence::Inherited(fd) => Reader::inherit(fd, &pool, options, &cancelled)?,
        };
        Ok(Box::new(SharedSource {
            reader,
            hook: None,
            hold: options.hold - ON_THE_WAY,
            captured: 0,
            expected: None,
            dropped: 0,
        }))
    }
}

#[derive(Debug)]
struct ShareWatch(Watch);

impl DeviceWatch for ShareWatch {
    fn next(&mut self, cancel: &Cancel) -> Result<DeviceChange, Error> {
        let _woken = cancel.on_cancel(self.0.stopper());
        loop {
            cancel.check()?;
            let (change, name, caps) = match self.0.next_change()? {
                Some(ShareChange::Added(name, caps)) => (ChangeType::Added, name, caps),
                Some(ShareChange::Changed(name, caps)) => (ChangeType::Changed, name, caps),
                Some(ShareChange::Removed(name, caps)) => (ChangeType::Removed, name, caps),
                // A wish of before, or this one.
                None => continue,
            };
            let device = device(Shared.kind(), &name, &caps);
            return Ok(DeviceChange { change, device });
        }
    }
}

/// Where a share is to be found.
#[derive(Debug)]
enum Whence {
    Place(Place),
    Inherited(u32),
}

impl Whence {
    fn of(device: &str) -> Result<Self, Error> {
        let name = device.strip_prefix(SCHEME).unwrap_or(device);
        let Some(number) = name.strip_prefix(INHERITED) else {
            return Ok(Whence::Place(Place::new(name)?));
        };
        let expected = "shared:fd: and the number of an inherited fd";
        let number = number.parse().map_err(|_| bad("device", expected, device))?;
        Ok(Whence::Inherited(number))
    }
}

fn device(kind: &'static str, name: &str, caps: &Caps) -> DeviceInfo {
    let known = caps.size != Size::new(0, 0);
    let rate = caps.frame_rate.unwrap_or(Rational { num: 0, den: 1 });
    DeviceInfo {
        id: format!("{SCHEME}{name}"),
        kind,
        name: name.into(),
        bus: None,
        formats: Vec::from_iter(known.then_some(FormatOffer {
            pixel_format: caps.pixel_format,
            encoded: caps.encoded,
            min_size: caps.size,
            max_size: caps.size,
            min_frame_rate: rate,
            max_frame_rate: rate,
        })),
    }
}

/// Where we are to be the host, and for how many readers.
fn hosts(request: &Request) -> Result<Option<(Place, Option<usize>)>, Error> {
    if !request.flag("host", false)? {
        return Ok(None);
    }
    request.allow_options("shared host", &["host", "clients"])?;
    refuse_formats(request)?;
    let name = request.device.strip_prefix(SCHEME).unwrap_or(&request.device);
    let expected = format!("a whole number from 1 to {CLIENTS_MAX}");
    let readers = request.number("clients", &expected)?;
    match readers {
        Some(count) if !(1..=CLIENTS_MAX).contains(&count) => Err(bad("clients", &expected, &count.to_string())),
        _ => Ok(Some((Place::new(name)?, readers))),
    }
}

/// Whoever makes the pictures says what they are.
fn refuse_formats(request: &Request) -> Result<(), Error> {
    let asked = [
        ("width", request.width.is_some()),
        ("height", request.height.is_some()),
        ("frameRate", request.frame_rate.is_some()),
        ("format", request.pixel_format.is_some()),
    ];
    let expected = "nothing (a share has the size, rate and format of its source)";
    match asked.iter().find(|(_, asked)| *asked) {
        Some((name, _)) => Err(bad(name, expected, "a value")),
        None => Ok(()),
    }
}

fn options(request: &Request) -> Result<(Whence, ReaderOptions), Error> {
    request.allow_options("shared", &["hold", "queue", "policy", "takeHanded", "host"])?;
    refuse_formats(request)?;
    let within = |name: &str, default: u32, most: u32| {
        let expected = format!("a whole number from 1 to {most}");
        let value = request.number::<u32>(name, &expected)?.unwrap_or(default);
        if (1..=most).contains(&value) {
            Ok(value)
        } else {
            Err(bad(name, &expected, &value.to_string()))
        }
    };
    let policy = match request.options.get("policy").map(String::as_str) {
        None | Some("latest") => ClientPolicy::Latest,
        Some("drop-oldest") => ClientPolicy::DropOldest,
        Some("drop-newest") => ClientPolicy::DropNewest,
        Some(other) => {
            let expected = "latest, drop-oldest or drop-newest (a share never waits for its readers)";
            return Err(bad("policy", expected, other));
        }
    };
    let whence = Whence::of(&request.device)?;
    let options = ReaderOptions {
        hold: within("hold", HOLD, HOLD_MAX)? + ON_THE_WAY,
        queue: within("queue", 4, 32)?,
        policy,
        // JavaScript may get to see them, and knows no read-only memory.
        access: Access::Private,
        take_handed: request.flag("takeHanded", false)?,
    };
    Ok((whence, options))
}

#[derive(Debug)]
struct SharedSource {
    reader: Reader,
    /// Ends its wait.
    hook: Option<CancelHook>,
    hold: u32,
    captured: u64,
    /// Number of the share's next frame, once the first has come.
    expected: Option<u64>,
    dropped: u64,
}

impl Source for SharedSource {
    fn caps(&self) -> Caps {
        self.reader.caps().clone()
    }

    fn live(&self) -> bool {
        // Frames come when the owner has them, and are lost when nobody takes them, whatever they come from.
        true
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Event, Error> {
        if self.hook.as_ref().is_none_or(|hook| !hook.is_of(cancel)) {
            let interrupt = self.reader.interrupt();
            self.hook = Some(cancel.on_cancel(move || interrupt.interrupt()));
        }
        loop {
            cancel.check()?;
            match self.reader.next(AT_MOST)? {
                Next::Frame(frame, number) => {
                    self.captured += 1;
                    let expected = self.expected.unwrap_or(number);
                    self.dropped += number.saturating_sub(expected);
                    self.expected = Some(number + 1);
                    return Ok(Event::Frame(frame));
                }
                Next::Handed(frame, _) => {
                    self.captured += 1;
                    return Ok(Event::Frame(frame));
                }
                Next::Caps(caps) => return Ok(Event::Caps(caps)),
                Next::Nothing => {}
                Next::End => return Ok(Event::End),
            }
        }
    }

    fn has_more(&self) -> bool {
        self.reader.has_more()
    }

    fn stats(&self) -> SourceStats {
        SourceStats {
            captured: self.captured,
            dropped: self.dropped,
        }
    }

    fn hand_over(&self) -> Option<Arc<dyn HandOver>> {
        Some(Arc::new(ToOthers {
            client: self.reader.id(),
            passer: self.reader.passer(),
        }))
    }

    fn holds(&self) -> Option<u32> {
        Some(self.hold)
    }
}

/// To other readers of the share, through its owner.
#[derive(Debug)]
struct ToOthers {
    client: u64,
    passer: Passer,
}

impl HandOver for ToOthers {
    fn client(&self) -> u64 {
        self.client
    }

    fn hand_over(&self, frame: &Frame, to: u64, timeout: Duration) -> Result<bool, Error> {
        Ok(self.passer.pass(frame, to, timeout)?)
    }
}
