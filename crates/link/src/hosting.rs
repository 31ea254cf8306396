//! What a share's thread does for clients that produce, and for those that hand frames over.

use crate::{
    client::{Client, Number, Offered},
    message::SlotAt,
    produce::{Produced, Producing},
    service::Service,
    socket::Received,
    wire::{Caps as WireCaps, Failure, FromClient, ToClient},
};
use beamline_arena::grant::{SEGMENTS, SLOTS};
use beamline_media::{Caps, ErrorCode};

/// More messages than a producer's socket holds.
const LAST_WORDS: usize = 1024;

impl Service {
    /// Memory for one that produces, and its format: to be told once it is welcomed.
    pub(crate) fn begin_producing(&self, caps: &WireCaps, pid: i32, ahead: u32) -> Result<(Producing, Caps), Failure> {
        let (Some(media), Some(host)) = (caps.to_media(), &self.shared.host) else {
            let (format, width, height) = (caps.format.as_deref().unwrap_or("none"), caps.width, caps.height);
            let message = format!("no pictures of {width}×{height} and format '{format}' are known here");
            return Err(Failure::new(ErrorCode::NotSupported, "pixel-format", message));
        };
        let producing = Producing::new(host, &self.shared.shortage, pid, &media, ahead)
            .map_err(|e| Failure::new(e.code(), e.reason().to_owned(), e.to_string()))?;
        Ok((producing, media))
    }

    /// What a client holds, for another one that takes such frames: it is granted while the first still has its own. What it is, is told by
    /// our own books. A slot that it does not hold is not taken: it may have given it back since. False when it does not read our answers, or names what is no slot.
    pub(crate) fn pass(&self, from: &Client, ticket: u32, to: u64, slot: SlotAt) -> bool {
        if usize::from(slot.segment) >= SEGMENTS || usize::from(slot.slot) >= SLOTS {
            return false;
        }
        let frame = from.holds(slot);
        let other = self.shared.clients().iter().find(|c| c.id == to).cloned();
        let taken = frame
            .zip(other)
            .is_some_and(|(frame, other)| other.offer(&frame, Number::From(from.id)) == Offered::Taken);
        from.answer(&ToClient::Passed { ticket, taken })
    }

    pub(crate) fn producer_says(&self, client: &Client, message: FromClient) -> bool {
        // What it filled before it said so comes before.
        if !self.hear(client) {
            return false;
        }
        let last = match message {
            FromClient::Caps(told) => {
                let Some(caps) = told.to_media() else { return false };
                let mut books = client.books();
                let known = books.producing.as_mut().is_some_and(|p| p.set_caps(&caps).is_ok());
                drop(books);
                if known {
                    self.produced(Produced::Caps(caps));
                }
                return known;
            }
            FromClient::Forgot { number } => return client.forgot(number),
            FromClient::End => Produced::End,
            FromClient::Failed(failure) => Produced::Failed(failure),
            _ => return false,
        };
        self.producer_is_over(client, last);
        true
    }

    /// What one that is gone has said and we have not heard: as much as its socket holds.
    pub(crate) fn hear_last_words(&self, client: &Client) {
        for _ in 0..LAST_WORDS {
            if !client.is_heard() {
                return;
            }
            let Ok(Received::Message(message, _)) = client.socket.receive::<FromClient>() else {
                return;
            };
            if !self.producer_says(client, message) {
                return;
            }
        }
    }

    /// Shows what a producer has filled. False when it has broken the protocol.
    pub(crate) fn hear(&self, client: &Client) -> bool {
        match client.hear_producer() {
            Ok(frames) => {
                frames
                    .into_iter()
                    .for_each(|frame| self.produced(Produced::Frame(frame)));
                true
            }
            Err(error) => {
                tracing::debug!(%error, pid = client.pid, "a producer is cut off");
                false
            }
        }
    }

    pub(crate) fn produced(&self, what: Produced) {
        let Some(host) = &self.shared.host else { return };
        // Where there is one producer it is the source, and its end that of all who read.
        let only = host.producers == 1;
        match &what {
            Produced::Frame(frame) => self.shared.publish(frame),
            Produced::Caps(caps) => self.shared.set_caps(caps),
            Produced::End if only => self.shared.end(None),
            Produced::Failed(failure) if only => self.shared.end(Some(failure.clone())),
            Produced::End | Produced::Failed(_) => {}
        }
        (host.sink)(what);
    }

    /// Tells the last of a producer, once.
    pub(crate) fn producer_is_over(&self, client: &Client, last: Produced) {
        let first = client
            .books()
            .producing
            .as_mut()
            .is_some_and(|p| !std::mem::replace(&mut p.over, true));
        if first {
            self.produced(last);
        }
    }
}
