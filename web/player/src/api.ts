// The words of the public API: states, events, errors and payloads, with the string values that IVS' web player uses.

export const PlayerState = {
  IDLE: "Idle",
  READY: "Ready",
  BUFFERING: "Buffering",
  PLAYING: "Playing",
  ENDED: "Ended",
} as const;
export type PlayerState = (typeof PlayerState)[keyof typeof PlayerState];

export const PlayerEventType = {
  INITIALIZED: "PlayerInitialized",
  QUALITY_CHANGED: "PlayerQualityChanged",
  DURATION_CHANGED: "PlayerDurationChanged",
  VOLUME_CHANGED: "PlayerVolumeChanged",
  MUTED_CHANGED: "PlayerMutedChanged",
  PLAYBACK_RATE_CHANGED: "PlayerPlaybackRateChanged",
  REBUFFERING: "PlayerRebuffering",
  AUDIO_BLOCKED: "PlayerAudioBlocked",
  PLAYBACK_BLOCKED: "PlayerPlaybackBlocked",
  ERROR: "PlayerError",
  TIME_UPDATE: "PlayerTimeUpdate",
  SYNC_TIME_UPDATE: "PlayerSyncTimeUpdate",
  BUFFER_UPDATE: "PlayerBufferUpdate",
  SEEK_COMPLETED: "PlayerSeekCompleted",
  TEXT_CUE: "PlayerTextCue",
  TEXT_METADATA_CUE: "PlayerTextMetadataCue",
  NETWORK_UNAVAILABLE: "PlayerNetworkUnavailable",
  // Named so that pages which subscribe keep working; there are no ads, and these never fire.
  AD_BREAK_STARTED: "PlayerAdBreakStarted",
  AD_CREATIVE_STARTED: "PlayerAdCreativeStarted",
  AD_TIME_UPDATE: "PlayerAdTimeUpdate",
  AD_CREATIVE_ENDED: "PlayerAdCreativeEnded",
  AD_BREAK_ENDED: "PlayerAdBreakEnded",
  TEXT_TRACKS_CHANGED: "PlayerTextTracksChanged",
  TEXT_TRACK_CHANGED: "PlayerTextTrackChanged",
} as const;
export type PlayerEventType = (typeof PlayerEventType)[keyof typeof PlayerEventType];

export const MetadataEventType = { ID3: "MetaID3", CAPTION: "MetaCaption", SEI: "SEI" } as const;
export type MetadataEventType = (typeof MetadataEventType)[keyof typeof MetadataEventType];

export const MetadataID3Type = {
  METADATA_ID: "metadata.live-video.net",
  INBAND_METADATA_ID: "inband.metadata.live-video.net",
} as const;
export type MetadataID3Type = (typeof MetadataID3Type)[keyof typeof MetadataID3Type];

export const ErrorType = {
  GENERIC: "Error",
  NOT_SUPPORTED: "ErrorNotSupported",
  NO_SOURCE: "ErrorNoSource",
  INVALID_DATA: "ErrorInvalidData",
  INVALID_STATE: "ErrorInvalidState",
  INVALID_PARAMETER: "ErrorInvalidParameter",
  TIMEOUT: "ErrorTimeout",
  NETWORK: "ErrorNetwork",
  NETWORK_IO: "ErrorNetworkIO",
  AUTHORIZATION: "ErrorAuthorization",
  NOT_AVAILABLE: "ErrorNotAvailable",
} as const;
export type ErrorType = (typeof ErrorType)[keyof typeof ErrorType];

export const LogLevel = { DEBUG: "debug", INFO: "info", WARN: "warn", ERROR: "error" } as const;
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

export const AdRollType = {
  PREROLL: "preroll",
  MIDROLL: "midroll",
  POSTROLL: "postroll",
  UNKNOWN: "unknown",
} as const;
export type AdRollType = (typeof AdRollType)[keyof typeof AdRollType];

/**
 * What a viewer should be told, finer than `PlayerState`. Not part of IVS' API.
 *
 * `offline`: nothing is being broadcast. `connecting`: before the first picture. `live`: the picture moves.
 * `reconnecting`: it moved, stopped, and is being brought back. `ended`: the broadcast was finished by its maker.
 * `failed`: an error that the player does not recover from; an `ERROR` event came with it.
 */
export const Phase = {
  OFFLINE: "offline",
  CONNECTING: "connecting",
  LIVE: "live",
  RECONNECTING: "reconnecting",
  ENDED: "ended",
  FAILED: "failed",
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

export const HeadwaterEventType = { PHASE_CHANGED: "HeadwaterPhaseChanged" } as const;
export type HeadwaterEventType = (typeof HeadwaterEventType)[keyof typeof HeadwaterEventType];

export interface Quality {
  readonly name: string;
  readonly codecs: string;
  /** Bits a second. */
  readonly bitrate: number;
  /** Pixels; 0 when unknown. */
  readonly width: number;
  /** Pixels; 0 when unknown. */
  readonly height: number;
}

export interface PlayerError {
  /** Where it arose: `MasterPlaylist`, `MediaPlaylist`, `Segment`, `Decoder`, `Source`. */
  readonly source: string;
  readonly type: ErrorType;
  /** The HTTP status for causes in the network, else 0. */
  readonly code: number;
  readonly message: string;
}

export interface TextMetadataCue {
  readonly type: "TextMetadataCue";
  /** Seconds of media time, as `getPosition()` counts. */
  readonly startTime: number;
  readonly endTime: number;
  readonly description: string;
  readonly text: string;
  readonly owner: string;
}

export interface TextTrack {
  readonly id: string;
  readonly label: string;
  readonly languageTag: string;
}

/** What each event hands to its listeners. */
export interface EventPayloads {
  [PlayerState.IDLE]: undefined;
  [PlayerState.READY]: undefined;
  [PlayerState.BUFFERING]: undefined;
  [PlayerState.PLAYING]: undefined;
  [PlayerState.ENDED]: undefined;
  [PlayerEventType.INITIALIZED]: undefined;
  [PlayerEventType.QUALITY_CHANGED]: Quality;
  [PlayerEventType.DURATION_CHANGED]: number;
  [PlayerEventType.VOLUME_CHANGED]: number;
  [PlayerEventType.MUTED_CHANGED]: undefined;
  [PlayerEventType.PLAYBACK_RATE_CHANGED]: number;
  [PlayerEventType.REBUFFERING]: undefined;
  [PlayerEventType.AUDIO_BLOCKED]: undefined;
  [PlayerEventType.PLAYBACK_BLOCKED]: undefined;
  [PlayerEventType.ERROR]: PlayerError;
  [PlayerEventType.TIME_UPDATE]: number;
  [PlayerEventType.SYNC_TIME_UPDATE]: number;
  [PlayerEventType.BUFFER_UPDATE]: undefined;
  [PlayerEventType.SEEK_COMPLETED]: number;
  [PlayerEventType.TEXT_METADATA_CUE]: TextMetadataCue;
  [PlayerEventType.NETWORK_UNAVAILABLE]: undefined;
  [MetadataEventType.ID3]: readonly { readonly id: "PRIV"; readonly desc: string; readonly info: readonly string[] }[];
  [HeadwaterEventType.PHASE_CHANGED]: Phase;
}

export type ServiceWorkerConfig = { readonly url: string; readonly scope?: string };

/** Accepted by `create()`. IVS' own members are understood; those that only its WebAssembly build needs are ignored. */
export interface PlayerConfig {
  readonly wasmWorker?: string;
  readonly wasmBinary?: string;
  readonly serviceWorker?: ServiceWorkerConfig;
  readonly optimizeBackgroundPlayback?: { readonly enabled?: boolean; readonly switchDelayMs?: number };
  readonly logLevel?: LogLevel;
  readonly isQualitySupported?: (quality: Quality) => boolean;
  /**
   * Headwater's own: stay with the channel. While nothing is broadcast the player asks again with growing pauses, and
   * after an end it waits for the next broadcast. Without it, both are reported as IVS does: `ERROR` with 404, `ENDED`.
   */
  readonly watch?: boolean;
  /**
   * Headwater's own: whether the player tells the server how playback fares (latency, stalls, bitrate, dropped pictures, the time to the
   * first picture), by a POST of some 100 bytes every ten seconds. Numbers only. On unless `false`.
   */
  readonly beacon?: boolean;
}

export interface LoadConfig {
  readonly mediaType?: string;
  readonly metadata?: string;
}
