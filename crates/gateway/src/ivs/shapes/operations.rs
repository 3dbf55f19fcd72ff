//! The input of each operation: shapes `…Request` of the service model, with its shapes of members.

use super::text::{Pattern, Text};
use super::{Member, Shape, optional, required};
use headwater_model::ivs::PlaybackRestrictionPolicy;

const fn text(min: usize, max: usize, pattern: Pattern) -> Shape {
    Shape::Text(Text { min, max, pattern })
}

const fn one_of(values: &'static [&'static str]) -> Shape {
    text(0, usize::MAX, Pattern::OneOf(values))
}

const fn arn(kind: &'static str) -> Shape {
    text(0, 128, Pattern::Arn(kind))
}

const fn arn_or_empty(kind: &'static str) -> Shape {
    text(0, 128, Pattern::ArnOrEmpty(kind))
}

const ANY: Shape = text(0, usize::MAX, Pattern::Any);
const NAME: Shape = text(0, 128, Pattern::Name);
const CHANNEL: Shape = arn("channel");
const STREAM_KEY: Shape = arn("stream-key");
const PLAYBACK_KEY: Shape = arn("playback-key");
const POLICY: Shape = arn("playback-restriction-policy");
const RECORDING: Shape = arn("recording-configuration");
const ADS: Shape = arn("ad-configuration");
const SLATE: Shape = arn("failover-slate-configuration");
const TAGS: Shape = Shape::Map(50);
const TIME: Shape = text(0, usize::MAX, Pattern::Time);
const AD_SECONDS: Shape = Shape::Integer(1, 300);
const VIEWER_ID: Shape = text(1, 40, Pattern::Any);
const VERSION: Shape = Shape::Integer(0, i32::MAX as i64);
const RESOLUTIONS: Shape = one_of(&["SD", "HD", "FULL_HD"]);
const RENDITIONS: Shape = one_of(&["SD", "HD", "FULL_HD", "LOWEST_RESOLUTION"]);

const ARN_OF_CHANNEL: &[Member] = &[required("channelArn", CHANNEL)];
const TOKEN: Member = optional("nextToken", text(0, 1024, Pattern::Token));
const RESULTS: Member = optional("maxResults", Shape::Integer(1, 100));
const PAGE: &[Member] = &[TOKEN, RESULTS];

const MULTITRACK: Shape = Shape::Structure(&[
    optional("enabled", Shape::Boolean),
    optional("policy", one_of(&["ALLOW", "REQUIRE"])),
    optional("maximumResolution", RESOLUTIONS),
]);

/// Members that CreateChannel and UpdateChannel share; the one has tags besides, the other an ARN.
macro_rules! channel {
    ($($more:expr),*) => {
        &[
            $($more,)*
            optional("name", NAME),
            optional("latencyMode", one_of(&["NORMAL", "LOW"])),
            optional("type", one_of(&["BASIC", "STANDARD", "ADVANCED_SD", "ADVANCED_HD"])),
            optional("authorized", Shape::Boolean),
            optional("recordingConfigurationArn", arn_or_empty("recording-configuration")),
            optional("insecureIngest", Shape::Boolean),
            // The service answers with an empty preset where there is none, so it takes one too.
            optional("preset", one_of(&["", "HIGHER_BANDWIDTH_DELIVERY", "CONSTRAINED_BANDWIDTH_DELIVERY"])),
            optional("playbackRestrictionPolicyArn", arn_or_empty("playback-restriction-policy")),
            optional("multitrackInputConfiguration", MULTITRACK),
            optional("containerFormat", one_of(&["TS", "FRAGMENTED_MP4"])),
            optional("adConfigurationArn", arn_or_empty("ad-configuration")),
            optional("failoverSlateConfigurationArn", arn_or_empty("failover-slate-configuration")),
        ]
    };
}

const PLAYBACK_CONFIGURATIONS: Shape = Shape::List(
    1,
    3,
    &Shape::Structure(&[optional("playbackConfigurationArn", text(0, 128, Pattern::MediaTailorArn))]),
);
const POST_ROLL: Shape =
    Shape::Structure(&[required("durationSeconds", AD_SECONDS), required("enabled", Shape::Boolean)]);

/// Members that the operations which make and change a policy share.
macro_rules! policy {
    ($($more:expr),*) => {
        &[
            $($more,)*
            optional("allowedCountries", Shape::List(0, usize::MAX, &text(2, 2, Pattern::Any))),
            optional(
                "allowedOrigins",
                Shape::List(0, usize::MAX, &text(0, PlaybackRestrictionPolicy::ORIGIN_LENGTH_MAX, Pattern::Any)),
            ),
            optional("enableStrictOriginEnforcement", Shape::Boolean),
            optional("name", NAME),
        ]
    };
}

/// Members that the operations which make and change a slate share.
macro_rules! slate {
    ($($more:expr),*) => {
        &[
            $($more,)*
            optional("name", NAME),
            optional("activationThresholdSeconds", Shape::Integer(3, 5)),
            optional("minSlateDisplaySeconds", Shape::Integer(3, 10)),
            optional("maxSlateDisplaySeconds", Shape::Integer(60, 180)),
        ]
    };
}

const RECORDING_CONFIGURATION: &[Member] = &[
    required(
        "destinationConfiguration",
        Shape::Structure(&[optional("s3", Shape::Structure(&[required("bucketName", text(3, 63, Pattern::Bucket))]))]),
    ),
    optional("name", NAME),
    optional("tags", TAGS),
    optional(
        "thumbnailConfiguration",
        Shape::Structure(&[
            optional("recordingMode", one_of(&["DISABLED", "INTERVAL"])),
            optional("targetIntervalSeconds", Shape::Integer(1, 60)),
            optional("resolution", RENDITIONS),
            optional("storage", Shape::List(0, usize::MAX, &one_of(&["SEQUENTIAL", "LATEST"]))),
        ]),
    ),
    optional("recordingReconnectWindowSeconds", Shape::Integer(0, 300)),
    optional(
        "renditionConfiguration",
        Shape::Structure(&[
            optional("renditionSelection", one_of(&["ALL", "NONE", "CUSTOM"])),
            optional("renditions", Shape::List(0, usize::MAX, &RENDITIONS)),
        ]),
    ),
];

const VIEWER: &[Member] = &[
    required("channelArn", CHANNEL),
    required("viewerId", VIEWER_ID),
    optional("viewerSessionVersionsLessThanOrEqualTo", VERSION),
];

/// Operations and the members of their inputs.
const OPERATIONS: &[(&[&str], &[Member])] = &[
    (&["BatchGetChannel"], &[required("arns", Shape::List(1, 50, &CHANNEL))]),
    (&["BatchGetStreamKey"], &[required("arns", Shape::List(1, 50, &STREAM_KEY))]),
    (
        &["BatchStartViewerSessionRevocation"],
        &[required("viewerSessions", Shape::List(1, 20, &Shape::Structure(VIEWER)))],
    ),
    (
        &["CreateAdConfiguration"],
        &[
            optional("name", NAME),
            required("mediaTailorPlaybackConfigurations", PLAYBACK_CONFIGURATIONS),
            optional("postRollConfiguration", POST_ROLL),
            optional("tags", TAGS),
        ],
    ),
    (&["CreateChannel"], channel!(optional("tags", TAGS))),
    (&["CreateFailoverSlateConfiguration"], slate!(optional("tags", TAGS))),
    (&["CreatePlaybackRestrictionPolicy"], policy!(optional("tags", TAGS))),
    (&["CreateRecordingConfiguration"], RECORDING_CONFIGURATION),
    (&["CreateStreamKey"], &[required("channelArn", CHANNEL), optional("tags", TAGS)]),
    (&["DeleteAdConfiguration", "GetAdConfiguration"], &[required("arn", ADS)]),
    (&["DeleteChannel", "GetChannel"], &[required("arn", CHANNEL)]),
    (&["DeleteFailoverSlateConfiguration", "GetFailoverSlateConfiguration"], &[required("arn", SLATE)]),
    (&["DeletePlaybackKeyPair", "GetPlaybackKeyPair"], &[required("arn", PLAYBACK_KEY)]),
    (&["DeletePlaybackRestrictionPolicy", "GetPlaybackRestrictionPolicy"], &[required("arn", POLICY)]),
    (&["DeleteRecordingConfiguration", "GetRecordingConfiguration"], &[required("arn", RECORDING)]),
    (&["DeleteStreamKey", "GetStreamKey"], &[required("arn", STREAM_KEY)]),
    (&["GetStream", "StopStream"], ARN_OF_CHANNEL),
    (&["GetStreamSession"], &[required("channelArn", CHANNEL), optional("streamId", text(26, 26, Pattern::StreamId))]),
    (&["ImportPlaybackKeyPair"], &[required("publicKeyMaterial", ANY), optional("name", NAME), optional("tags", TAGS)]),
    (
        &["InsertAdBreak"],
        &[
            required("channelArn", CHANNEL),
            required("durationSeconds", AD_SECONDS),
            optional("adBreakId", text(12, 12, Pattern::Alphanumeric)),
            optional("targetStartAt", TIME),
        ],
    ),
    (
        &[
            "ListAdConfigurations",
            "ListFailoverSlateConfigurations",
            "ListPlaybackKeyPairs",
            "ListPlaybackRestrictionPolicies",
            "ListRecordingConfigurations",
        ],
        PAGE,
    ),
    (
        &["ListChannels"],
        &[
            optional("filterByName", NAME),
            optional("filterByRecordingConfigurationArn", arn_or_empty("recording-configuration")),
            optional("filterByPlaybackRestrictionPolicyArn", arn_or_empty("playback-restriction-policy")),
            optional("filterByAdConfigurationArn", arn_or_empty("ad-configuration")),
            optional("filterByFailoverSlateConfigurationArn", arn_or_empty("failover-slate-configuration")),
            TOKEN,
            RESULTS,
        ],
    ),
    (&["ListStreamKeys"], &[required("channelArn", CHANNEL), TOKEN, optional("maxResults", Shape::Integer(1, 50))]),
    (&["ListStreamSessions"], &[required("channelArn", CHANNEL), TOKEN, RESULTS]),
    (
        &["ListStreams"],
        &[
            optional("filterBy", Shape::Structure(&[optional("health", one_of(&["HEALTHY", "STARVING", "UNKNOWN"]))])),
            TOKEN,
            RESULTS,
        ],
    ),
    (&["ListTagsForResource", "UntagResource"], &[required("resourceArn", text(1, 128, Pattern::Any))]),
    (&["PutMetadata"], &[required("channelArn", CHANNEL), required("metadata", text(1, usize::MAX, Pattern::Any))]),
    (&["StartViewerSessionRevocation"], VIEWER),
    (&["TagResource"], &[required("resourceArn", text(1, 128, Pattern::Any)), required("tags", TAGS)]),
    (
        &["UpdateAdConfiguration"],
        &[
            required("arn", ADS),
            optional("name", NAME),
            optional("mediaTailorPlaybackConfigurations", PLAYBACK_CONFIGURATIONS),
            optional("postRollConfiguration", POST_ROLL),
        ],
    ),
    (&["UpdateChannel"], channel!(required("arn", CHANNEL))),
    (&["UpdateFailoverSlateConfiguration"], slate!(required("arn", SLATE))),
    (&["UpdatePlaybackRestrictionPolicy"], policy!(required("arn", POLICY))),
];

/// Members of an operation's input; `None` if there is no such operation.
pub(super) fn input(operation: &str) -> Option<&'static [Member]> {
    OPERATIONS.iter().find(|(names, _)| names.contains(&operation)).map(|(_, members)| *members)
}
