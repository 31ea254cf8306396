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

/// Frames that may be on their way to others at once; more wait for a place.
const ON_THE_WAY: usize = 16;
/// How often one that waits for a place looks for it.
const TURN: Duration = Duration::from_millis(2);
/// A wait without an end, in steps.
const FOR_GOOD: Duration = Duration::from_secs(3600);

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
    /// over, for which that is held until then. [`Error::Gone`], [`Error::Told`] when the link has
    /// ended, [`Error::Cancelled`] when the reader was dropped.
    pub fn pass(&self, frame: &Frame, to: u64, timeout: Duration) -> Result<bool, Error> {
        let deadline = Instant::now().checked_add(timeout);
        let hearing = &*self.0;
        let mut asked = None;
        loop {
            let so_far = hearing.ear.so_far();
            let mut heard = hearing.lock();
            let outcome = hearing.hear_beside(&mut heard);
            if asked.is_none() {
                asked = self.ask(&mut heard, frame, to)?;
            }
            if let Some(answer) = asked.and_then(|ticket| self.answer(&mut heard, ticket)) {
                return answer;
            }
            let left = deadline.map_or(FOR_GOOD, |deadline| deadline.saturating_duration_since(Instant::now()));
            if outcome.is_err() || left.is_zero() {
                if let Some(asked) = asked.and_then(|ticket| heard.asked.get_mut(&ticket)) {
                    asked.given_up = true;
                }
                return outcome.and_then(|()| Err(self.late()));
            }
            drop(heard);
            // Nobody tells of a place that has come free.
            hearing.wait_beside(so_far, if asked.is_some() { left } else { left.min(TURN) });
        }
    }

    /// Sends the question; gives its ticket. None while there is no place for it, here or in the socket.
    fn ask(&self, heard: &mut Heard, frame: &Frame, to: u64) -> Result<Option<u32>, Error> {
        let hearing = &*self.0;
        let first = frame.leases().next();
        let slot = first
            .and_then(|lease| place(&hearing.pool, lease))
            .ok_or(Error::NotOurs)?;
        if let Some(ended) = self.ended(heard) {
            return Err(ended);
        }
        if heard.asked.len() >= ON_THE_WAY {
            return Ok(None);
        }
        let ticket = heard.tickets.wrapping_add(1);
        match hearing.socket.send(&FromClient::Pass { ticket, to, slot }, &[]) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(_) => return Err(self.gone()),
        }
        heard.tickets = ticket;
        let asked = Asked {
            _frame: frame.clone(),
            taken: None,
            given_up: false,
        };
        heard.asked.insert(ticket, asked);
        Ok(Some(ticket))
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
