//! What is said of a shared output, and its numbers.

use crate::Error;
use beamline_io::Cancel;
use beamline_link::ClientInfo;
use beamline_media::{MAX_DIMENSION, Rational, Size};
use serde::Serialize;
use std::time::Duration;

/// What is said of the pictures of a shared output. All of it is told to readers that come before the first frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct SharedTrackConfig {
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Pictures per second.
    pub frame_rate: Option<Rational>,
}

/// How long somebody waits for memory.
#[derive(Clone, Debug)]
pub struct Patience {
    /// At most.
    pub timeout: Duration,
    /// Ends the wait.
    pub cancel: Cancel,
}

/// Numbers of a shared output; they only grow, but for `clients`. What only the host of a hosted one knows is `None`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedOutputStats {
    /// Frames that were shown to readers.
    pub frames: u64,
    /// Those of them that had to be copied first.
    pub copies: u64,
    /// Holds that came back by themselves because their reader was gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swept: Option<u64>,
    /// Who reads now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<ClientInfo>>,
}

impl SharedTrackConfig {
    /// The size, where both sides are said.
    pub(super) fn size(self) -> Result<Option<Size>, Error> {
        for (name, side) in [("width", self.width), ("height", self.height)] {
            if side.is_some_and(|s| s == 0 || s > MAX_DIMENSION) {
                return Err(Error::Argument {
                    name,
                    expected: format!("1 to {MAX_DIMENSION} pixels"),
                    got: side.unwrap_or_default().to_string(),
                });
            }
        }
        Ok(self.width.zip(self.height).map(|(w, h)| Size::new(w, h)))
    }
}
