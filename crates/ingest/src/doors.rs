//! A door for fuzzing: an encoder's words about its stream, without a connection.

use crate::broadcast::{completed, stream_metadata};
use headwater_media::StreamMetadata;
use headwater_model::ivs::Shown;
use headwater_rtmp::amf0::Object;

/// What live gets of the values of `onMetaData`, from a publisher that showed this.
pub fn metadata(values: &Object, shown: &Shown) -> StreamMetadata {
    completed(stream_metadata(values), shown)
}
