//! Handing frames from one client of a share to another, through the owner, from any thread of the first.

use crate::{
    error::Error,
    hearing::{Asked, Heard, Hearing},
    join::{Over, place},
    wire::FromClient,
};
use beamline_media::Frame;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Frames that may be on their way to others at once.
const ON_THE_WAY: usize = 16;

/// Hands over frames of one reader, whether that reads meanwhile or not. Clones are the same.
#[derive(Clone, Debug)]
pub struct Passer(pub(crate) Arc<Hearing>);

impl Passer {
    /// Hands a frame of this share to another of its clients: the other is granted it, as the owner told it to us, while we still have ours.
    /// True when it was; false when there is no such client, it does not take such frames, or it has no room.
    ///
    /// Blocks: until the owner has answered, at most `timeout`.
    ///
    /// # Errors
    /// [`Error::NotOurs`] for a frame of anybody else. [`Error::Timeout`]: the owner is stopped; should it go on it still hands the frame
    /// over, for which that is held until then. Also when 16 are on their way already. [`Error::Gone`], [`Error::Told`] when the link has
    /// ended, [`Error::Cancelled`] when the reader was dropped.
    pub fn pass(&self, frame: &Frame, to: u64, timeout: Duration) -> Result<bool, Error> {
        let ticket = self.ask(frame, to)?;
        let deadline = Instant::now() + timeout;
        let hearing = &*self.0;
        loop {
            let so_far = hearing.ear.so_far();
            let mut heard = hearing.lock();
            let outcome = hearing.hear_beside(&mut heard);
            if let Some(answer) = self.answer(&mut heard, ticket) {
                return answer;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if outcome.is_err() || left.is_zero() {
                if let Some(asked) = heard.asked.get_mut(&ticket) {
                    asked.given_up = true;
                }
                return outcome.and_then(|()| Err(self.late()));
            }
            drop(heard);
            hearing.wait_beside(so_far, left);
        }
    }

    /// Sends the question; gives its ticket.
    fn ask(&self, frame: &Frame, to: u64) -> Result<u32, Error> {
        let hearing = &*self.0;
        let first = frame.leases().next();
        let slot = first
            .and_then(|lease| place(&hearing.pool, lease))
            .ok_or(Error::NotOurs)?;
        let mut heard = hearing.lock();
        if let Some(ended) = self.ended(&heard) {
            return Err(ended);
        }
        if heard.asked.len() >= ON_THE_WAY {
            return Err(self.late());
        }
        heard.tickets = heard.tickets.wrapping_add(1);
        let ticket = heard.tickets;
        match hearing.socket.send(&FromClient::Pass { ticket, to, slot }, &[]) {
            Ok(true) => {}
            Ok(false) => return Err(self.late()),
            Err(_) => return Err(self.gone()),
        }
        let asked = Asked {
            _frame: frame.clone(),
            taken: None,
            given_up: false,
        };
        heard.asked.insert(ticket, asked);
        Ok(ticket)
    }

    /// The answer to a ticket, when it is there, or cannot come any more.
    fn answer(&self, heard: &mut Heard, ticket: u32) -> Option<Result<bool, Error>> {
        let answer = match heard.asked.get(&ticket).and_then(|asked| asked.taken) {
            Some(taken) => Ok(taken),
            None => Err(self.ended(heard)?),
        };
        heard.asked.remove(&ticket);
        Some(answer)
    }

    /// Why nothing is answered any more.
    fn ended(&self, heard: &Heard) -> Option<Error> {
        match &heard.over {
            _ if heard.left => Some(Error::Cancelled),
            _ if !heard.closed => None,
            Some(Over::Failed(failure)) => Some(Error::Told(failure.clone())),
            _ => Some(self.gone()),
        }
    }

    fn gone(&self) -> Error {
        Error::Gone(self.0.name.clone())
    }

    fn late(&self) -> Error {
        Error::Timeout(self.0.name.clone())
    }
}
