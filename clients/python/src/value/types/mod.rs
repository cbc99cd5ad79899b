//! The types that travel as tags, or in the place of which another value travels. Each module converts in both directions.
//!
//! | module | contents |
//! |---|---|
//! | `number` | integers of any size |
//! | `decimal` | `Decimal` |
//! | `time` | `datetime`, `date` and `timedelta` |
//! | `rfc3339` | the texts of dates and times |
//! | `array` | arrays of numpy and of the module `array` |
//! | `element` | the types of the elements of arrays |
//! | `object` | enums, dataclasses, pydantic models and UUIDs |
//! | `tagged` | the class `Tagged`, for tags that have no Python type |
//! | `imported` | Python types that are imported when they are first needed |

pub(super) mod array;
pub(super) mod decimal;
mod element;
mod imported;
pub(super) mod number;
pub(super) mod object;
mod rfc3339;
mod tagged;
pub(super) mod time;

pub(super) use element::Element;
pub(super) use tagged::Tagged;
