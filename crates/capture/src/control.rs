//! Knobs of a device, by the names that its driver gives them.

use crate::Error;
use serde::Serialize;
use std::fmt::Debug;

/// What kind of value a control takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ControlKind {
    /// A whole number.
    #[serde(rename_all = "camelCase")]
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
        /// Values are `min` plus multiples of this.
        step: u64,
    },
    /// On or off.
    Boolean,
    /// One of these names.
    Menu {
        /// In the driver's order.
        items: Vec<String>,
    },
    /// An act without a value.
    Button,
}

/// A value of a control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ControlValue {
    /// On or off.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A name of a menu.
    Text(String),
}

/// One control.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlInfo {
    /// The driver's name, in snake_case.
    pub name: String,
    /// What it takes.
    #[serde(flatten)]
    pub kind: ControlKind,
    /// What it is when nobody has touched it.
    pub default: Option<ControlValue>,
    /// Whether it cannot be set now (another control decides it).
    pub inactive: bool,
}

/// The controls of an opened device.
///
/// Thread: any, while another runs the source. Blocks: for one exchange with the driver.
pub trait Controls: Send + Sync + Debug {
    /// All that there are.
    ///
    /// # Errors
    /// DeviceLost.
    fn list(&self) -> Result<Vec<ControlInfo>, Error>;

    /// The value now.
    ///
    /// # Errors
    /// NotFound for a name that the device does not have; DeviceLost.
    fn get(&self, name: &str) -> Result<ControlValue, Error>;

    /// Sets it; gives the value that the device took.
    ///
    /// # Errors
    /// NotFound, InvalidConfig for a value outside the range, Busy while inactive; DeviceLost.
    fn set(&self, name: &str, value: ControlValue) -> Result<ControlValue, Error>;
}
