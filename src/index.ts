/** Beamline: real video in, through shared memory, into JavaScript and back into a file, without a copy. */
export {
  Capture,
  CaptureErrorEvent,
  type CaptureEventHandler,
  type CaptureFormat,
  type CaptureStats,
  openCapture,
  type OpenCaptureOptions,
} from './capture.js'
export {
  type Device,
  type DeviceChange,
  type DeviceKind,
  type FormatOffer,
  listDevices,
  watchDevices,
} from './devices.js'
export { BeamlineError, type BeamlineErrorInit, type ErrorCode } from './errors.js'
export { FrameStream, type FrameStreamStats, type QueuePolicy } from './frame-stream.js'
export { encodeImage, type EncodeImageOptions } from './image.js'
export {
  AudioTrack,
  type AudioTrackDecoderConfig,
  type ChunksOptions,
  type FramesOptions,
  Input,
  type InputSource,
  openInput,
  type OpenInputOptions,
  OtherTrack,
  type ReadSource,
  type Track,
  VideoTrack,
  type VideoTrackDecoderConfig,
} from './input.js'
export { EncodedAudioChunk, type EncodedChunkInit, type EncodedChunkType, EncodedVideoChunk } from './media/chunks.js'
export {
  type VideoColorPrimaries,
  VideoColorSpace,
  type VideoColorSpaceInit,
  type VideoMatrixCoefficients,
  type VideoTransferCharacteristics,
} from './media/color-space.js'
export type {
  ExtraPixelFormat,
  FramePlane,
  PlaneLayout,
  Rect,
  VideoFrameBufferInit,
  VideoFrameCopyToOptions,
  VideoFrameInit,
  VideoPixelFormat,
} from './media/types.js'
export { type AllowSharedBufferSource, VideoFrame, type VideoFrameToken } from './media/video-frame.js'
export type { ZeroCopyMode } from './native/zero-copy.js'
export {
  type CloseOptions,
  type CopyOptions,
  createOutput,
  type CreateOutputOptions,
  Output,
  type OutputReport,
  type OutputStats,
  type OutputVideoConfig,
} from './output.js'
export type { OutputTarget, WriteTarget } from './output-target.js'
export { OutputChunkTrack, OutputVideoTrack, type WriteOptions } from './output-tracks.js'
export type { FrameRate } from './rate.js'
export { Share, type ShareClient, type ShareOptions, type ShareStats } from './share.js'
export { ShareEnd } from './share-end.js'
export {
  type CreateSharedOutputOptions,
  SharedOutput,
  type SharedOutputStats,
  type SharedVideoConfig,
} from './shared-output.js'
export { type SharedFrameInit, SharedVideoTrack } from './shared-track.js'
export { type EncoderDefaults, memory, type MemoryStats, type Runtime, runtime } from './runtime.js'
