//! Timed metadata: a cue and its ID3 tag.

use id3::TagLike;
use id3::frame::{ExtendedText, Private};

/// Description of the text frame that carries the cue's id beside its payload.
pub const CUE_ID_DESCRIPTION: &str = "headwater.cue-id";

/// Where a cue came from; its name is the owner identifier of the PRIV frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CueOwner {
    /// The control plane: `PutMetadata`.
    #[default]
    OutOfBand,
    /// The encoder.
    InBand,
}

impl CueOwner {
    /// The owner identifier, as IVS' players know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            CueOwner::OutOfBand => "metadata.live-video.net",
            CueOwner::InBand => "inband.metadata.live-video.net",
        }
    }
}

/// One piece of timed metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cue {
    /// Unique in its stream session; the same in the ID3 tag and in EXT-X-DATERANGE. Letters, digits and hyphens.
    pub id: String,
    /// What the application sent, UTF-8.
    pub payload: String,
    /// Where it came from.
    pub owner: CueOwner,
}

impl Cue {
    /// An ID3v2.4 tag: a PRIV frame with the owner and the payload's bytes, then a TXXX frame with the cue's id, by which a player
    /// knows the same cue from the playlist.
    pub fn id3(&self) -> Vec<u8> {
        let mut tag = id3::Tag::new();
        tag.add_frame(Private {
            owner_identifier: self.owner.as_str().to_owned(),
            private_data: self.payload.clone().into_bytes(),
        });
        tag.add_frame(ExtendedText { description: CUE_ID_DESCRIPTION.to_owned(), value: self.id.clone() });
        let mut out = Vec::with_capacity(self.payload.len() + 128);
        id3::Encoder::new()
            .version(id3::Version::Id3v24)
            .encode(&tag, &mut out)
            .expect("writing to memory does not fail, and both frames are valid in ID3v2.4");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_is_carried_byte_for_byte() {
        let payload = "{\"question\":\"é?\"}\u{1f600}";
        let cue = Cue { id: "c-1".into(), payload: payload.into(), owner: CueOwner::OutOfBand };
        let bytes = cue.id3();
        assert_eq!(&bytes[..5], b"ID3\x04\x00");
        let tag = id3::Tag::read_from2(std::io::Cursor::new(&bytes)).unwrap();
        let private = tag
            .frames()
            .find_map(|frame| match frame.content() {
                id3::Content::Private(private) => Some(private),
                _ => None,
            })
            .unwrap();
        assert_eq!(private.owner_identifier, "metadata.live-video.net");
        assert_eq!(private.private_data, payload.as_bytes());
        let text = tag.extended_texts().next().unwrap();
        assert_eq!((text.description.as_str(), text.value.as_str()), ("headwater.cue-id", "c-1"));
    }
}
