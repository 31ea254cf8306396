//! What the socket carries, as bytes: one JSON object per message, with its fds beside it. Rare, so legible.
//!
//! Messages have a length by themselves (`SOCK_SEQPACKET`); what is longer than [`MESSAGE_MAX`] is cut by the kernel and refused here.

use crate::{error::Error, message::SlotAt};
use beamline_media::{ColorSpace, ErrorCode, FrameInfo, PixelFormat, Rational, Rotation, Size};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Bytes of the longest message.
pub(crate) const MESSAGE_MAX: usize = 4096;
/// Fds of one message.
pub(crate) const FDS_MAX: usize = 4;
/// Changes with what is said here and with the layout of the shared pages.
const PROTOCOL: u32 = 5;
/// The most frames that one client may hold and queue.
pub(crate) const FRAMES_MAX: u32 = 64;

/// Why a client is asked to come again.
pub(crate) const CROWDED: &str = "share-crowded";

/// What both sides must be alike in: rings carry numbers of one build's tables.
#[doc(hidden)]
#[must_use]
pub fn version() -> String {
    format!("{}/{PROTOCOL}/{}", env!("CARGO_PKG_VERSION"), PixelFormat::ALL.len())
}

/// What happens for a reader that does not keep up. Nobody waits for it, so `block` is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientPolicy {
    /// Only the newest frame waits.
    Latest,
    /// The oldest waiting frame makes room.
    DropOldest,
    /// The new frame is dropped.
    DropNewest,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FromClient {
    /// First.
    Hello(Hello),
    /// It reads no more: entries from this number on were not looked at and are the owner's again. What it holds it gives back in time.
    Bye {
        /// How many it has read (wraps).
        read: u32,
    },
    /// Of one that reads: it has heard [`ToClient::Forget`], and the number may stand for another segment.
    Forgot {
        /// The segment's number.
        number: u32,
    },
    /// Of one that reads: a frame that it holds is for another client too.
    Pass {
        /// For the answer.
        ticket: u32,
        /// Which client.
        to: u64,
        /// The frame's first slot, as this client was told of it: what lies there the owner knows better.
        slot: SlotAt,
    },
    /// Of one that produces: from now on it fills pictures of this format.
    Caps(Caps),
    /// Of one that produces: it was the last picture.
    End,
    /// Of one that produces: it has failed.
    Failed(Failure),
}

/// What one says that comes. One of another version may say what this one does not know, and has to hear that it is the version.
#[derive(Debug)]
pub(crate) enum Knock {
    /// As this version speaks; perhaps no hello.
    Says(FromClient),
    /// A hello that only another version can read; why it is refused.
    Foreign(Failure),
}

impl<'de> Deserialize<'de> for Knock {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let said = serde_json::Value::deserialize(from)?;
        let wrong = match FromClient::deserialize(&said) {
            Ok(message) => return Ok(Knock::Says(message)),
            Err(wrong) => wrong,
        };
        let theirs = said["version"].as_str().filter(|_| said["kind"] == "hello");
        match theirs.map(same_version) {
            Some(Err(failure)) => Ok(Knock::Foreign(failure)),
            _ => Err(de::Error::custom(wrong)),
        }
    }
}

fn same_version(theirs: &str) -> Result<(), Failure> {
    let ours = version();
    if theirs == ours {
        return Ok(());
    }
    let message = format!("expected a client of version {ours} but {theirs} came: use the same Beamline on both sides");
    Err(Failure::new(ErrorCode::NotSupported, "share-version", message))
}

/// The greeting of a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Must be the owner's.
    pub version: String,
    /// Frames that it may hold at once, 1 to 32: set aside for it, or it is refused with Quota. Of one that produces: empty ones that it is
    /// granted ahead.
    pub hold: u32,
    /// Frames that may wait for it in the owner, 1 to 32.
    pub queue: u32,
    /// What happens when as many wait.
    pub policy: ClientPolicy,
    /// Whether it only wants to know what there is: then the owner says `Welcome` without fds, and that is all.
    #[serde(default)]
    pub look: bool,
    /// Of one that produces: the format. It reads nothing then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub produce: Option<Caps>,
    /// Whether it stays after its look, and is told of changes and of the end.
    #[serde(default)]
    pub watch: bool,
    /// Whether it also takes frames that other clients hand over.
    #[serde(default)]
    pub take_handed: bool,
    /// Its process, where the kernel cannot say who is at the other end: over an inherited socket, with its pidfd where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
}

impl Hello {
    /// Reason of a refusal: as many watch as may.
    pub(crate) const FULL: &'static str = "share-watched";

    /// One that wants to know what there is.
    pub(crate) fn look() -> Self {
        Hello {
            version: version(),
            hold: 1,
            queue: 1,
            policy: ClientPolicy::Latest,
            look: true,
            produce: None,
            watch: false,
            take_handed: false,
            pid: None,
        }
    }

    /// One that also wants to know what becomes of it.
    pub(crate) fn watch() -> Self {
        Hello {
            watch: true,
            ..Self::look()
        }
    }

    /// Whether an owner can serve it.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let refuse = |code: ErrorCode, reason: &str, message: String| Err(Failure::new(code, reason, message));
        same_version(&self.version)?;
        let half = FRAMES_MAX / 2;
        if !(1..=half).contains(&self.hold) || !(1..=half).contains(&self.queue) {
            let (hold, queue) = (self.hold, self.queue);
            let message = format!("expected 1 to {half} frames to hold and to wait but received {hold} and {queue}");
            return refuse(ErrorCode::InvalidConfig, "invalid-argument", message);
        }
        Ok(())
    }
}

/// The format of a share, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Caps {
    /// Slug of the pixel format; none as long as nobody knows it: before the first picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Width in pixels; 0 as long as nobody knows.
    pub width: u32,
    /// Height in pixels; 0 as long as nobody knows.
    pub height: u32,
    /// Pictures per second, when steady: numerator and denominator.
    pub frame_rate: Option<(u32, u32)>,
    /// H.273 code points: primaries, transfer, matrix.
    pub color: (u8, u8, u8),
    /// Whether samples use all their values.
    pub full_range: Option<bool>,
    /// Degrees to turn clockwise.
    pub rotation: u32,
}

impl Caps {
    /// As it is told. Shares carry raw pictures alone.
    #[must_use]
    pub fn of(caps: &beamline_media::Caps) -> Self {
        let color = caps.color;
        Caps {
            format: caps.pixel_format.map(|format| format.slug().into()),
            width: caps.size.width,
            height: caps.size.height,
            frame_rate: caps.frame_rate.map(|r| (r.num, r.den)),
            color: (color.primaries, color.transfer, color.matrix),
            full_range: color.full_range,
            rotation: caps.rotation.degrees(),
        }
    }

    /// As it was meant; `None` when there is no such format, or no picture of such a size.
    #[must_use]
    pub fn to_media(&self) -> Option<beamline_media::Caps> {
        let format = match &self.format {
            Some(name) => Some(PixelFormat::from_name(name)?),
            None => None,
        };
        let size = Size::new(self.width, self.height);
        // A size may be known before its format, but no format without a size.
        if format.is_some() || size != Size::new(0, 0) {
            FrameInfo::new(format.unwrap_or(PixelFormat::GRAY8), size)
                .check()
                .ok()?;
        }
        Some(beamline_media::Caps {
            pixel_format: format,
            frame_rate: self.frame_rate.and_then(|(num, den)| Rational::new(num, den)),
            color: ColorSpace {
                primaries: self.color.0,
                transfer: self.color.1,
                matrix: self.color.2,
                full_range: self.full_range,
            },
            rotation: Rotation::from_degrees(f64::from(self.rotation)),
            ..beamline_media::Caps::raw(PixelFormat::GRAY8, size)
        })
    }
}

/// An error that crosses to another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Name of the shared code.
    pub code: String,
    /// The finer class.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

impl Failure {
    /// An error to be told.
    #[must_use]
    pub fn new(code: ErrorCode, reason: impl Into<String>, message: impl Into<String>) -> Self {
        // With its quotes and braces it must stay far below a message's length.
        let message = message.into().chars().take(500).collect();
        Failure {
            code: code.name().into(),
            reason: reason.into(),
            message,
        }
    }

    /// The shared code; Internal for one that we do not know.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::from_name(&self.code).unwrap_or(ErrorCode::Internal)
    }
}

/// What the owner says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ToClient {
    /// The answer to a hello; with the fds of the tell page, the return page and the owner's eventfd, and for one that produces its ring.
    Welcome {
        /// What others call this client.
        #[serde(default)]
        id: u64,
        /// What comes.
        caps: Caps,
        /// Whether pictures come at their own time.
        live: bool,
    },
    /// The answer to a hello that cannot be served.
    Refused(Failure),
    /// A further segment, with its fd. Before the first entry that names it.
    Segment {
        /// Its number on this link.
        number: u32,
        /// Bytes per slot.
        slot_size: u64,
        /// Slots.
        slots: u32,
    },
    /// The reader holds nothing of a segment, and nothing will come from it: it may let go of it. Its number comes again for another
    /// one, but only after it has said [`FromClient::Forgot`].
    Forget {
        /// The segment's number.
        number: u32,
    },
    /// The answer to [`FromClient::Pass`].
    Passed {
        /// Which.
        ticket: u32,
        /// Whether the other one was granted it. If not it is not there, does not take such frames, or has no room; or we hold the frame no
        /// more.
        taken: bool,
    },
    /// The format has changed.
    Caps(Caps),
    /// The source has ended; what was granted may still be read.
    End,
    /// The source has failed.
    Failed(Failure),
}

/// As bytes.
pub(crate) fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

/// From bytes that came from another process.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::Protocol(e.to_string()))
}

/// All parsers of socket bytes, for the fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let _ = decode::<Knock>(bytes);
    match decode::<FromClient>(bytes) {
        Ok(FromClient::Hello(hello)) => {
            let _ = hello.check();
            let _ = hello.produce.map(|caps| caps.to_media());
        }
        Ok(FromClient::Caps(caps)) => {
            let _ = caps.to_media();
        }
        _ => {}
    }
    if let Ok(ToClient::Welcome { caps, .. } | ToClient::Caps(caps)) = decode::<ToClient>(bytes) {
        let _ = caps.to_media();
    }
}
