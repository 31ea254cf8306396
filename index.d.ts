// The public contract of `beamline`. Rolled up from src/ by `npm run contract`; do not edit by hand.

/** A rate as an exact fraction: `{ num: 30000, den: 1001 }`. */
export interface FrameRate {
	/** Numerator. */
	num: number;
	/** Denominator, not 0. */
	den: number;
}
/** A kind of device. Cameras and network streams come with later versions. */
export type DeviceKind = "pattern" | "image" | "camera" | "network" | "shared";
/** A form in which a device gives its pictures: any size and rate between the two. */
export interface FormatOffer {
	/** Our name of raw pixels; null when packets come, or it is not known yet. */
	readonly pixelFormat: string | null;
	/** Family of the packets (`mjpeg`, `h264`); null when raw pixels come. */
	readonly encoded: string | null;
	/** The smallest picture, in pixels. */
	readonly minSize: {
		readonly width: number;
		readonly height: number;
	};
	/** The largest picture, in pixels: equal to the smallest for a fixed size. */
	readonly maxSize: {
		readonly width: number;
		readonly height: number;
	};
	/** Pictures per second, slowest. */
	readonly minFrameRate: FrameRate;
	/** Pictures per second, fastest. */
	readonly maxFrameRate: FrameRate;
}
/** A device, as `listDevices` sees it. */
export interface Device {
	/** Opens it: `openCapture({ device: id })`. Stays the same when the device is plugged in again. */
	readonly id: string;
	/** What it is. */
	readonly kind: DeviceKind;
	/** Its name for people. */
	readonly name: string;
	/** Where it is plugged in; null when nowhere. */
	readonly bus: string | null;
	/** What it offers; nothing as long as nobody knows how large: of a share before its first frame. */
	readonly formats: readonly FormatOffer[];
}
/** The devices that can be opened now: a plain snapshot. `kind`: only those. */
export declare function listDevices(options?: {
	kind?: DeviceKind;
	signal?: AbortSignal;
}): Promise<Device[]>;
/** What has become of a device. */
export interface DeviceChange {
	/** `added`: it can be opened now; `changed`: it offers something else; `removed`: it is gone. */
	readonly type: "added" | "changed" | "removed";
	/** The device as it is now, or was last. */
	readonly device: Device;
}
/**
 * What can be opened, as it comes and goes: first every device that is there, as `added`, then each change, as the system tells it. It goes
 * on until `break`, `return()` or `signal`; a script that awaits it stays alive, one that has dropped it ends. `kind`: only those.
 *
 * Up to 64 changes wait for a loop that is busy, then the watch does (`block`): none is lost, but what comes and goes meanwhile is told as it
 * is by then. Of shares, those in the user's runtime directory are seen: an owner that is killed is told as `removed`.
 *
 * Rejects with `BeamlineError` when the system cannot tell (any more).
 */
export declare function watchDevices(options?: {
	kind?: DeviceKind;
	signal?: AbortSignal;
}): AsyncIterableIterator<DeviceChange>;
/** What a caller can do about an error; the finer class is {@link BeamlineError.reason}. */
export type ErrorCode = "InvalidState" | "InvalidConfig" | "NotSupported" | "NotFound" | "DeviceLost" | "Busy" | "PermissionDenied" | "Data" | "Quota" | "Timeout" | "Aborted" | "Internal";
/** The parts of a {@link BeamlineError} besides its message. */
export interface BeamlineErrorInit {
	/** What the caller can do next. */
	code: ErrorCode;
	/** The finer class, kebab-case. */
	reason: string;
	/** What to do, in a sentence. */
	hint?: string | undefined;
	/** What caused it. */
	cause?: unknown;
}
/**
 * An error of everything outside the W3C's WebCodecs text (there, `DOMException` and `TypeError` are thrown as it says).
 *
 * `message` is a sentence that names what was expected and what came.
 */
export declare class BeamlineError extends Error {
	/** What the caller can do next: one of about twelve codes. */
	readonly code: ErrorCode;
	/** The finer class in kebab-case, such as `truncated` or `frames-not-closed`. */
	readonly reason: string;
	/** What to do, in a sentence; `undefined` where the message says all. */
	readonly hint: string | undefined;
	/** Makes an error; `message` is a sentence. */
	constructor(message: string, init: BeamlineErrorInit);
}
/** W3C `VideoColorPrimaries`. */
export type VideoColorPrimaries = "bt709" | "bt470bg" | "smpte170m" | "bt2020" | "smpte432";
/** W3C `VideoTransferCharacteristics`. */
export type VideoTransferCharacteristics = "bt709" | "smpte170m" | "iec61966-2-1" | "linear" | "pq" | "hlg";
/** W3C `VideoMatrixCoefficients`. */
export type VideoMatrixCoefficients = "rgb" | "bt709" | "bt470bg" | "smpte170m" | "bt2020-ncl";
/** W3C `VideoColorSpaceInit`: what is null or left out is not said. */
export interface VideoColorSpaceInit {
	/** Colour of the primaries. */
	primaries?: VideoColorPrimaries | null;
	/** How numbers become light. */
	transfer?: VideoTransferCharacteristics | null;
	/** How luma and chroma are made of red, green and blue. */
	matrix?: VideoMatrixCoefficients | null;
	/** Whether samples use all their values. */
	fullRange?: boolean | null;
}
/** W3C `VideoColorSpace`: how a frame's numbers become light. Each part may be null: not said. */
export declare class VideoColorSpace {
	/** Colour of the primaries. */
	readonly primaries: VideoColorPrimaries | null;
	/** How numbers become light. */
	readonly transfer: VideoTransferCharacteristics | null;
	/** How luma and chroma are made of red, green and blue. */
	readonly matrix: VideoMatrixCoefficients | null;
	/** Whether samples use all their values. */
	readonly fullRange: boolean | null;
	/** Throws a `TypeError` for a name that W3C does not have. */
	constructor(init?: VideoColorSpaceInit);
	/** A plain object with the same parts. */
	toJSON(): VideoColorSpaceInit;
}
/** W3C `VideoPixelFormat`. */
export type VideoPixelFormat = "I420" | "I420P10" | "I420P12" | "I420A" | "I420AP10" | "I420AP12" | "I422" | "I422P10" | "I422P12" | "I422A" | "I422AP10" | "I422AP12" | "I444" | "I444P10" | "I444P12" | "I444A" | "I444AP10" | "I444AP12" | "NV12" | "RGBA" | "RGBX" | "BGRA" | "BGRX";
/** Formats that W3C has no name for, by our slug. */
export type ExtraPixelFormat = "nv21" | "yuyv" | "uyvy" | "rgb24" | "bgr24" | "gray8" | "gray16" | "p010";
/** A rectangle in pixels, from the top left (the parts of W3C's `DOMRectReadOnly` that matter here). */
export interface Rect {
	/** Columns to its left. */
	readonly x: number;
	/** Rows above it. */
	readonly y: number;
	/** Its width in pixels. */
	readonly width: number;
	/** Its height in pixels. */
	readonly height: number;
}
/** W3C `PlaneLayout`. */
export interface PlaneLayout {
	/** Bytes from the start of the buffer to the plane's first row. */
	offset: number;
	/** Bytes from one row to the next. */
	stride: number;
}
/** A plane of a frame, as it lies in shared memory. */
export interface FramePlane {
	/** The bytes, from the first row to the end of the last. They are to be read; after `close()` this array is empty. */
	readonly bytes: Uint8Array;
	/** Bytes from one row to the next. */
	readonly stride: number;
}
/** W3C `VideoFrameBufferInit`. */
export interface VideoFrameBufferInit {
	/** W3C's name, or our slug for formats that W3C does not have. */
	format: VideoPixelFormat | ExtraPixelFormat;
	/** Pixels per row in memory. */
	codedWidth: number;
	/** Rows in memory. */
	codedHeight: number;
	/** When it is shown, in µs. */
	timestamp: number;
	/** How long it is shown, in µs. */
	duration?: number;
	/** Where the planes lie in the bytes; without: one behind the other, rows without padding. */
	layout?: PlaneLayout[];
	/** The part that is shown; without: all. */
	visibleRect?: Rect;
	/** How far to turn it clockwise for showing, in degrees. */
	rotation?: number;
	/** Whether to mirror it left to right after turning. */
	flip?: boolean;
	/** How its numbers become light. */
	colorSpace?: VideoColorSpaceInit;
}
/** W3C `VideoFrameInit`: what to say anew about an existing frame. */
export interface VideoFrameInit {
	/** When it is shown, in µs. */
	timestamp?: number;
	/** How long it is shown, in µs. */
	duration?: number;
	/** The part that is shown, inside the frame's coded size. */
	visibleRect?: Rect;
	/** Turned further clockwise by so many degrees. */
	rotation?: number;
	/** Mirrored once more. */
	flip?: boolean;
}
/** W3C `VideoFrameCopyToOptions`. */
export interface VideoFrameCopyToOptions {
	/** The part to copy; without: the visible part. */
	rect?: Rect;
	/** Where planes go in the destination; without: one behind the other, rows without padding. */
	layout?: PlaneLayout[];
	/** Converted to this format; without: as it is. */
	format?: VideoPixelFormat | ExtraPixelFormat;
	/** For RGB formats: `srgb` (the only one that is supported). */
	colorSpace?: "srgb" | "display-p3";
	/** Ends the wait of a conversion that runs on another thread. */
	signal?: AbortSignal;
}
/** What `postMessage` can carry in a frame's place: see {@link VideoFrame.toToken}. */
export interface VideoFrameToken {
	/** Marks it, with the version of its form. */
	readonly beamlineFrame: 1;
	/** Which frame; good once. */
	readonly token: number;
}
/**
 * A picture in shared memory: the frame type of everything here, as W3C WebCodecs writes it, and a little more.
 *
 * Its bytes are to be read: a decoder may still predict from them, others may hold them ({@link VideoFrame.writable}). Whoever gets one
 * closes it: `close()`, or `using`.
 */
export declare class VideoFrame {
	#private;
	/**
	 * A frame from bytes, which are copied into a slot of shared memory, or another frame over the memory of an existing one.
	 *
	 * Throws a `TypeError` for what cannot be right, an `InvalidStateError` for a closed frame.
	 */
	constructor(data: AllowSharedBufferSource, init: VideoFrameBufferInit);
	/** Another frame over the same memory, with other words about it where `init` has any. */
	constructor(frame: VideoFrame, init?: VideoFrameInit);
	/** W3C's name of the format; null when W3C has none, or the frame is closed. */
	get format(): VideoPixelFormat | null;
	/** Our name of the format: every format has one (`i420`, `yuyv`, `gray8`); null when the frame is closed. */
	get pixelFormat(): string | null;
	/** Pixels per row in memory; 0 when closed. */
	get codedWidth(): number;
	/** Rows in memory; 0 when closed. */
	get codedHeight(): number;
	/** The whole picture in memory; null when closed. */
	get codedRect(): Rect | null;
	/** The part that is shown; null when closed. */
	get visibleRect(): Rect | null;
	/** How far to turn it clockwise for showing: 0, 90, 180 or 270 degrees. */
	get rotation(): 0 | 90 | 180 | 270;
	/** Whether to mirror it left to right after turning. */
	get flip(): boolean;
	/**
	 * Which reader of a share has handed it over ({@link Capture.handOver}): its number among `share.clients`. Null for frames of the source
	 * itself, and when closed.
	 */
	get handedBy(): number | null;
	/**
	 * Width when shown, in square pixels: of the visible part, turned; 0 when closed. Where pixels are not square (anamorphic video), the
	 * longer side is the larger for it: 720×576 with pixels of 16:11 is shown as 1047×576.
	 */
	get displayWidth(): number;
	/** Height when shown, in square pixels: of the visible part, turned; 0 when closed. */
	get displayHeight(): number;
	/** When it is shown, in µs. */
	get timestamp(): number;
	/** How long it is shown, in µs; null when nobody has said. */
	get duration(): number | null;
	/** How its numbers become light. */
	get colorSpace(): VideoColorSpace;
	/**
	 * The planes as they lie in shared memory: views without a copy (but see `runtime.zeroCopyMode`). Made at the first access; empty
	 * after `close()`. They show the coded size. To be read: what is stored into a frame of another process is seen by nobody else, found by
	 * samples and undone; with `BEAMLINE_DEV=1` always, and warned of. See {@link VideoFrame.writable}. Throws an `InvalidStateError` when
	 * closed.
	 */
	get planes(): readonly FramePlane[];
	/** Bytes that {@link copyTo} with the same options writes. */
	allocationSize(options?: VideoFrameCopyToOptions): number;
	/**
	 * Copies the pixels into `destination`, converted where `options.format` says so, and gives where the planes lie in it. Counted in
	 * `memory.stats().copies`. Large conversions run on another thread, large copies in slices.
	 *
	 * Rejects with `InvalidStateError` when closed, `TypeError` or `RangeError` for what does not fit.
	 */
	copyTo(destination: AllowSharedBufferSource, options?: VideoFrameCopyToOptions): Promise<PlaneLayout[]>;
	/**
	 * A frame that may be written: itself when nobody else holds its memory, else one over a copy (counted), and this one is closed. Go on
	 * with what is returned, and take its `planes` anew: views from before are empty in both cases. (A filter that shares its result needs no
	 * copy: {@link SharedVideoTrack.frame}.)
	 *
	 * Throws an `InvalidStateError` when closed.
	 */
	writable(): VideoFrame;
	/** Another frame over the same memory, to be closed for itself. Throws an `InvalidStateError` when closed. */
	clone(): VideoFrame;
	/** Lets go of the memory: views of it are empty from now on. Closing twice does nothing. */
	close(): void;
	/** The same as {@link close}, for `using`. */
	[Symbol.dispose](): void;
	/**
	 * A plain object to post to another worker_thread, which makes a frame over the same memory of it ({@link VideoFrame.fromToken}).
	 * Good once, for 5 s or until this worker ends; what nobody redeems is released and counted. This frame stays open. (A frame itself
	 * cannot be posted: `postMessage(frame)` and `structuredClone(frame)` throw a `DataCloneError`.)
	 */
	toToken(): VideoFrameToken;
	/** The frame that a token stands for. Throws `BeamlineError` `token-void` when it is not good (any more). */
	static fromToken(token: VideoFrameToken): VideoFrame;
	/** The class name, for `Object.prototype.toString`. */
	get [Symbol.toStringTag](): string;
}
/** W3C `AllowSharedBufferSource`: bytes in an array buffer, shared or not, or a view of one. */
export type AllowSharedBufferSource = ArrayBufferLike | ArrayBufferView;
/**
 * One end of a share for exactly one child that inherits it: see {@link Share.invite} and {@link Capture.invite}. Close it once the child is spawned: `close()`, or
 * `using`.
 */
export declare class ShareEnd implements Disposable {
	#private;
	/** Its number in this process: an element of the child's `stdio`. The child has it under its index there. */
	readonly fd: number;
	/**
	 * What opens it where it has this number: `shared:fd:` and {@link fd}. In a child it is `shared:fd:` and the index in `stdio`. One
	 * `openCapture`, or of a hosted share one `createOutput`.
	 */
	get url(): string;
	/** Closes the copy of this process; the child's own is not touched. An end that nobody took is void by that. */
	close(): void;
	/** The same as {@link close}, for `using`. */
	[Symbol.dispose](): void;
}
/** How a source is shared. */
export interface ShareOptions {
	/** Readers at once, at most: 1 to 1024; 64 unless told otherwise. */
	clients?: number;
	/** A file's frames come at their own time (`realtime`) unless told otherwise; `fast`: as soon as they are decoded. */
	pace?: "realtime" | "fast";
	/** Cancels the opening. */
	signal?: AbortSignal;
}
/** One reader of a share. */
export interface ShareClient {
	/** Tells readers of one share apart. */
	id: number;
	/** Its process. */
	pid: number;
	/** Whether it fills frames instead of reading them: of a share that is hosted. What it holds are empty ones then, and its last ones. */
	produces: boolean;
	/** Frames that it holds, or was told of and has not read yet. */
	held: number;
	/** Frames that it was told of and, as it says, has not read yet. */
	behind: number;
	/** Frames that wait until it lets some go. */
	waiting: number;
	/** Frames that it was given. */
	granted: number;
	/** Frames that its policy has dropped. */
	dropped: number;
	/** Whether it takes frames that other readers hand over. */
	takesHanded: boolean;
}
/** Numbers of a share. */
export interface ShareStats {
	/** Frames that were shown to readers. */
	published: number;
	/** Frames that readers held when they ended without a word, and that came back by themselves. */
	swept: number;
	/** Who reads now. */
	clients: ShareClient[];
}
/**
 * A source whose frames other processes of the same user read, in the same memory: `openCapture('shared:' + name)` there.
 *
 * It drives the source; local loops go on beside it. Readers that are slow, stopped or dead hold nobody up. Close it: `close()`, or
 * `await using`; the source goes on.
 */
export declare class Share implements AsyncDisposable {
	#private;
	/** Under which others find it. */
	readonly name: string;
	/**
	 * Opens it in any process of this user, whatever its environment and folder: `shared:` and the path of its socket. To be passed by
	 * environment or message, to `fork`, `spawn`, `cluster`, worker threads, or Electron's `utilityProcess`.
	 */
	readonly url: string;
	/** Who reads, how far behind, and how many frames each holds: a snapshot. */
	get clients(): ShareClient[];
	/** Numbers so far; after closing, the last ones. */
	stats(): ShareStats;
	/**
	 * One end of it for exactly one child that inherits it, which then needs to see neither the name nor its folder, and may be another
	 * user's: `spawn(…, { stdio: ['inherit', 'inherit', 'inherit', end.fd] })`, and there `openCapture('shared:fd:3')`. Close it here after
	 * the spawn. The child's end is good for one `openCapture`.
	 *
	 * Rejects with `BeamlineError`: `Quota` when 64 of them are out and unused, `InvalidState` when the share is closed.
	 */
	invite(): Promise<ShareEnd>;
	/** Ends it: the name is free, readers are told the end. What they hold stays theirs until they close it. */
	close(): Promise<void>;
	/** The same as {@link close}, for `await using`. */
	[Symbol.asyncDispose](): Promise<void>;
}
/** What happens when a queue is full: `block` makes the producer wait; the others drop, and count it. */
export type QueuePolicy = "block" | "drop-oldest" | "drop-newest" | "latest";
/** Numbers of one loop. */
export interface FrameStreamStats {
	/** Frames that were put into the queue. */
	produced: number;
	/** Frames that the queue's policy has dropped. */
	dropped: number;
	/** Frames that wait now. */
	waiting: number;
	/** Frames of this loop that are open now. */
	open: number;
}
/**
 * Frames, one after the other: an async iterable. Each `for await` is a loop of its own (a file's begins anew, a camera's goes on from
 * now); leaving it by `break` ends that loop alone. Whoever gets a frame closes it.
 */
export declare class FrameStream implements AsyncIterable<VideoFrame> {
	#private;
	/** Begins a loop. */
	[Symbol.asyncIterator](): AsyncIterableIterator<VideoFrame>;
	/** The same frames as a Web stream: a loop of its own, cancelled by cancelling the stream. Its reader closes the frames. */
	get readable(): ReadableStream<VideoFrame>;
	/**
	 * The same frames for other processes of this user, in the same memory: they say `openCapture('shared:' + name)`. A name holds letters,
	 * digits, `-`, `_` and `.`, or is the path of a socket. Frames that are another process's themselves (a capture of `shared:…`, but
	 * not one with `host`) are copied once each.
	 *
	 * Rejects with `BeamlineError`: `Busy` when the name is taken, `InvalidConfig` when it cannot be one.
	 */
	share(name: string, options?: ShareOptions): Promise<Share>;
	/** Numbers of the newest loop; zeros before the first. */
	stats(): FrameStreamStats;
}
/** How a capture is opened. Options of a backend (`live`, `color`, `loop`, …) stand beside the common ones. */
export interface OpenCaptureOptions {
	/** The device, or its id or URL. */
	device?: Device | string;
	/** Width in pixels. */
	width?: number;
	/** Height in pixels. */
	height?: number;
	/** Pictures per second. */
	frameRate?: number | FrameRate;
	/** Pixel format: W3C's name or our slug. */
	format?: VideoPixelFormat | ExtraPixelFormat;
	/** Frames that may wait in a loop. Default: 4. */
	queue?: number;
	/** What happens when that many wait. Default: `latest` for live sources, `block` for the others. */
	policy?: QueuePolicy;
	/** How long a loop waits for open frames to be closed, or for another loop over the capture to be read, in ms. Default: 5000. */
	timeoutMs?: number;
	/** Cancels the opening, and later closes the capture. */
	signal?: AbortSignal;
	/** Whether pictures come at their own time (default) or as fast as they are taken: for `pattern` and `image`. */
	live?: boolean;
	/** Ends after so many pictures: for `pattern`. */
	frames?: number;
	/** Whether to burn a frame counter and timestamp in (default): for `pattern`. */
	counter?: boolean;
	/** Colour as `#rrggbb`: for `pattern:solid`. */
	color?: string;
	/** Whether to begin anew at the end: for `image`. */
	loop?: boolean;
	/**
	 * Frames that may be open at once, 1 to 24; 4 unless told otherwise: for `shared`. Frames of an earlier size are to be closed when the
	 * size changes: an owner that runs out of memory ends a capture that keeps them longer (`share-past-formats`).
	 *
	 * The owner sets aside so many and 2 more, which are on their way, or refuses (`Quota`, `share-budget`). Before a source's first frame
	 * nothing is known of its memory, so the refusal can come with that frame, as the error of a loop, instead of at the opening. Memory
	 * that is bound, as a camera's, does not grow, and two of its slots stay with the driver: few readers fit, of 8 slots one with 4.
	 */
	hold?: number;
	/**
	 * Whether frames come too that other readers of the share hand over (`capture.handOver()`), with `frame.handedBy`: between those of the
	 * source, so times may go back. Default: no. For `shared`.
	 */
	takeHanded?: boolean;
	/**
	 * For `shared:NAME`: whether this process owns the name and the memory, and another one fills it (`createOutput('shared:NAME')` there).
	 * The capture is open at once, and its `format` known when the producer says it; it ends with its producer. Others read the share as any.
	 *
	 * The producer keeps its mapping of what it has filled: one that lies can change pictures of its own after they were shown, and no others.
	 * What must not change is copied before it is looked at (`frame.copyTo()`); `frame.writable()` gives a copy always.
	 */
	host?: boolean;
	/** Readers at once, at most, 1 to 1024; 64 unless told otherwise: for `shared` with `host`. Who fills it takes no place. */
	clients?: number;
}
/** What was really agreed. */
export interface CaptureFormat {
	/** Our name of the pixel format of frames; null when packets come, which are decoded here, and as long as nobody knows it. */
	readonly pixelFormat: string | null;
	/** Family of the packets that come (`mjpeg`, `png`); null when frames come. */
	readonly encoded: string | null;
	/** Width in pixels; null as long as nobody knows it: of a share whose source has neither said it nor given a picture. */
	readonly width: number | null;
	/** Height in pixels; null as long as nobody knows it. */
	readonly height: number | null;
	/** Pictures per second; null when not steady. */
	readonly frameRate: number | null;
	/** How far pictures are turned clockwise for showing, in degrees. */
	readonly rotation: number;
	/** How numbers become light. */
	readonly colorSpace: VideoColorSpace;
	/** Passes over each picture on its way from the source into shared memory. */
	readonly copiesPerFrame: number;
}
/** Numbers of a capture; they only grow. */
export interface CaptureStats {
	/** Pictures that the source gave. */
	captured: number;
	/** Pictures that the source itself lost. */
	lost: number;
	/** Pictures that loops did not get: by their policy, or because too many frames were open. */
	dropped: number;
	/** Packets that were decoded. */
	decoded: number;
	/** Packets that were found decoded already. */
	cached: number;
	/** Passes over pictures on the way from the source. */
	copies: number;
}
/** The `error` event of a {@link Capture}. */
export declare class CaptureErrorEvent extends Event {
	/** What ended the source. */
	readonly error: unknown;
}
/**
 * A running source of pictures: an async iterable of frames. Leaving a loop by `break` ends the loop, not the source. Close it:
 * `close()`, or `await using`.
 *
 * Events: `ended` when the source has no more pictures or is closed, `error` (a {@link CaptureErrorEvent}) when it fails, `formatchange` when
 * {@link format} has become another one, or known at all.
 */
export declare class Capture extends EventTarget implements AsyncDisposable, AsyncIterable<VideoFrame> {
	#private;
	/**
	 * What was really agreed: format, size, rate, colour space, copies per frame. Another object once the source has changed it, before the
	 * first frame of the new format is handed out.
	 *
	 * Opening waits for no picture: of a share whose source does not know what it will give (`pixelFormat`, `width` and `height` are null
	 * then) a loop hears of it with the first frame, and `formatchange` tells it.
	 */
	get format(): CaptureFormat;
	/** Whether pictures come at their own time. */
	get live(): boolean;
	/** Frames with another queue than the capture's own. */
	frames(options?: Pick<OpenCaptureOptions, "queue" | "policy" | "timeoutMs" | "signal">): FrameStream;
	/** The same frames for other processes: see {@link FrameStream.share}. */
	share(name: string, options?: ShareOptions): Promise<Share>;
	/** What the owner of a share calls this reader: `share.clients[].id` there. Null for sources that nobody else can read. */
	get client(): number | null;
	/**
	 * Of a capture that hosts a share (`host: true`): who reads it and who fills it (`produces`), how far behind, and how many frames each
	 * holds, as a snapshot; empty once it is closed. Null for all others: who reads what `share()` gives, {@link Share.clients} tells.
	 */
	get clients(): ShareClient[] | null;
	/**
	 * One end of the share that this capture hosts, for exactly one child that inherits it, as {@link Share.invite} makes them: there
	 * `createOutput('shared:fd:3')` fills it, or `openCapture('shared:fd:3')` reads it.
	 *
	 * Rejects with `BeamlineError`: `InvalidState` (`not-hosted`, `closed`), `Quota` when 64 of them are out and unused.
	 */
	invite(): Promise<ShareEnd>;
	/**
	 * Hands a frame of this capture to another process that reads the same share, through the owner: that one is granted it while we still
	 * have ours, and its loops get it with `frame.handedBy`. `client` is the other's {@link client}. False when there is no such reader, it
	 * was not opened with `takeHanded`, or it has no room now.
	 *
	 * It settles when the owner has answered, whether a loop is under way here or not. Rejects with `BeamlineError`: `not-shared`,
	 * `frame-of-another-share`; `share-silent` when the owner is stopped and does not answer within 5 s: it still hands the frame over,
	 * should it go on.
	 */
	handOver(frame: VideoFrame, client: number): Promise<boolean>;
	/** A loop over the frames from now on. */
	[Symbol.asyncIterator](): AsyncIterableIterator<VideoFrame>;
	/** The same frames as a Web stream. */
	get readable(): ReadableStream<VideoFrame>;
	/** Numbers so far; after closing, the last ones. */
	stats(): CaptureStats;
	/** Called at the `ended` event. */
	get onended(): CaptureEventHandler | null;
	set onended(handler: CaptureEventHandler | null);
	/** Called at the `error` event. */
	get onerror(): CaptureEventHandler | null;
	set onerror(handler: CaptureEventHandler | null);
	/** Called at the `formatchange` event. */
	get onformatchange(): CaptureEventHandler | null;
	set onformatchange(handler: CaptureEventHandler | null);
	/** Ends the source and all loops (quietly); settles when its threads have ended. Frames that were handed out live on. */
	close(): Promise<void>;
	/** The same as {@link close}, for `await using`. */
	[Symbol.asyncDispose](): Promise<void>;
}
/** A handler of a {@link Capture}'s events. */
export type CaptureEventHandler = (this: Capture, event: Event) => void;
/**
 * Opens a source of pictures: a URL (`pattern:smpte?width=1920&height=1080`, `clip.y4m`, `shots/%05d.png`) or an object that says the same.
 * `options` go on top of either.
 *
 * Rejects with `BeamlineError`: `InvalidConfig` for sizes, rates, patterns, formats and options that cannot be; `NotFound`; `NotSupported`;
 * `Quota` where a share has no place or no memory for one more reader (see {@link OpenCaptureOptions.hold}).
 */
export declare function openCapture(source: string | OpenCaptureOptions, options?: OpenCaptureOptions): Promise<Capture>;
/** How a still is encoded. */
export interface EncodeImageOptions {
	/** Media type. Default: `image/png`. */
	type?: "image/png" | "image/jpeg";
	/** For JPEG: 0 (small) to 1 (good). Default: 0.92. */
	quality?: number;
	/** Cancels it. */
	signal?: AbortSignal;
}
/**
 * Encodes the visible part of a frame, turned as it is shown; gives the bytes of the file. Runs on another thread; the frame may be closed
 * right after the call.
 *
 * Rejects with `InvalidStateError` for a closed frame, `BeamlineError` `NotSupported` or `InvalidConfig`.
 */
export declare function encodeImage(frame: VideoFrame, options?: EncodeImageOptions): Promise<Uint8Array>;
/** W3C: whether decoding can begin at a chunk. */
export type EncodedChunkType = "key" | "delta";
/** W3C `EncodedVideoChunkInit` and `EncodedAudioChunkInit`. */
export interface EncodedChunkInit {
	/** Whether decoding can begin here. */
	type: EncodedChunkType;
	/** When it is shown or heard, in µs. */
	timestamp: number;
	/** How long, in µs. */
	duration?: number;
	/** Its bytes, which are copied. */
	data: AllowSharedBufferSource;
}
declare abstract class EncodedChunk {
	#private;
	/** Whether decoding can begin here. */
	readonly type: EncodedChunkType;
	/** When it is shown or heard, in µs. */
	readonly timestamp: number;
	/** How long, in µs; null when nobody has said. */
	readonly duration: number | null;
	/** Copies the bytes. Throws a `TypeError` for what cannot be right. */
	constructor(init: EncodedChunkInit);
	/** How many bytes it has. */
	get byteLength(): number;
	/** Copies its bytes. Throws a `TypeError` when `destination` is too small. */
	copyTo(destination: AllowSharedBufferSource): void;
}
/** W3C `EncodedVideoChunk`: one compressed picture. */
export declare class EncodedVideoChunk extends EncodedChunk {
	/** The class name, for `Object.prototype.toString`. */
	get [Symbol.toStringTag](): string;
}
/** W3C `EncodedAudioChunk`: one compressed block of sound. */
export declare class EncodedAudioChunk extends EncodedChunk {
	/** The class name, for `Object.prototype.toString`. */
	get [Symbol.toStringTag](): string;
}
/** Bytes that JavaScript fetches on request. */
export interface ReadSource {
	/** Bytes in all. */
	size: number;
	/** Gives up to `length` bytes from `offset`, at least one but at the end. What it throws is the `cause` of the error that comes of it. */
	read(offset: number, length: number): Promise<Uint8Array> | Uint8Array;
	/** What to call it in messages; its ending is a hint at the format. */
	name?: string;
}
/** Where an input's bytes come from: a path, a `file:` URL, bytes, a Blob, or an object that is asked for ranges. */
export type InputSource = string | URL | AllowSharedBufferSource | Blob | ReadSource;
/** How an input is opened. */
export interface OpenInputOptions {
	/** Cancels the opening. */
	signal?: AbortSignal;
	/** A file that ends too early or is damaged in places gives what can be decoded and ends quietly. Default: false. */
	recover?: boolean;
}
/** Which frames of a track, and how. */
export interface FramesOptions {
	/** Begins with the first frame whose end lies after this time, in µs. Default: the beginning. */
	from?: number;
	/** Ends before the first frame that begins at or after this time, in µs. Default: the end. */
	to?: number;
	/** `realtime` plays at the file's own speed; `fast` (the default) as fast as frames are taken. */
	pace?: "realtime" | "fast";
	/** Frames that may wait. Default: 8. */
	queue?: number;
	/** What happens when that many wait. Default: `block`. */
	policy?: QueuePolicy;
	/** How long a loop waits for open frames to be closed, in ms. Default: 5000. */
	timeoutMs?: number;
	/** Threads of the decoder, 1 to 256. Default: by the cores. */
	threads?: number;
	/** Ends the loop. */
	signal?: AbortSignal;
}
/** Which chunks of a track. */
export interface ChunksOptions {
	/** Begins with the last key chunk at or before this time, in µs. Default: the beginning. */
	from?: number;
	/** Ends before the first chunk that is decoded at or after this time, in µs. Default: the end. */
	to?: number;
	/** Ends the loop. */
	signal?: AbortSignal;
}
/** W3C `VideoDecoderConfig`, as a track fills it. */
export interface VideoTrackDecoderConfig {
	/** Codec string (`avc1.4d401f`). */
	codec: string;
	/** Out-of-band description (avcC, …). */
	description?: Uint8Array;
	/** Pixels per row. */
	codedWidth: number;
	/** Rows. */
	codedHeight: number;
	/** With `displayAspectHeight`, the shape in which the picture is shown, before turning; left out where pixels are square. */
	displayAspectWidth?: number;
	/** See `displayAspectWidth`. */
	displayAspectHeight?: number;
	/** Colour as the container says. */
	colorSpace: VideoColorSpaceInit;
}
/** W3C `AudioDecoderConfig`, as a track fills it. */
export interface AudioTrackDecoderConfig {
	/** Codec string (`mp4a.40.2`). */
	codec: string;
	/** Out-of-band description (AudioSpecificConfig, …). */
	description?: Uint8Array;
	/** Samples per second. */
	sampleRate: number;
	/** Channels. */
	numberOfChannels: number;
}
declare abstract class TrackBase {
	/** Place among `input.tracks`. */
	get index(): number;
	/** The file's own number for the track. */
	get id(): number;
	/** Codec string (`avc1.4d401f`, `mp4a.40.2`), or the family's name where no string is known. */
	get codec(): string;
	/** When its first chunk is shown or heard, in µs; null when unknown. */
	get start(): number | null;
	/** Its length in µs; null when unknown. */
	get duration(): number | null;
	/** Its bits per second; null when unknown. */
	get bitrate(): number | null;
	/** ISO 639-2 language; null when not said. */
	get language(): string | null;
}
/** A track of pictures. */
export declare class VideoTrack extends TrackBase {
	/** Tells tracks apart. */
	readonly type = "video";
	/** Pixels per row. */
	get codedWidth(): number;
	/** Rows. */
	get codedHeight(): number;
	/** Width when shown, in square pixels: turned, and the shape of the file's pixels taken in. */
	get displayWidth(): number;
	/** Height when shown, in square pixels. */
	get displayHeight(): number;
	/** Average pictures per second; null when unknown. */
	get frameRate(): number | null;
	/** How far pictures are turned clockwise for showing, in degrees. */
	get rotation(): 0 | 90 | 180 | 270;
	/** What a `VideoDecoder` needs to know. */
	get decoderConfig(): VideoTrackDecoderConfig;
	/**
	 * Decoded pictures, in the order in which they are shown; edit lists and rotation are honoured. Each loop has a cursor and a decoder of
	 * its own, so several may run side by side.
	 *
	 * A file that ends too early gives its decodable frames, then rejects with `truncated` (see `recover`).
	 */
	frames(options?: FramesOptions): FrameStream;
	/** Compressed pictures as they are, in the order of decoding. */
	chunks(options?: ChunksOptions): AsyncIterableIterator<EncodedVideoChunk>;
}
/** A track of sound. */
export declare class AudioTrack extends TrackBase {
	/** Tells tracks apart. */
	readonly type = "audio";
	/** Samples per second. */
	get sampleRate(): number;
	/** Channels. */
	get numberOfChannels(): number;
	/** What an `AudioDecoder`, or `output.addAudio`, needs to know. */
	get decoderConfig(): AudioTrackDecoderConfig;
	/** Compressed sound as it is. */
	chunks(options?: ChunksOptions): AsyncIterableIterator<EncodedAudioChunk>;
}
/** A track that is neither pictures nor sound. */
export declare class OtherTrack extends TrackBase {
	/** Tells tracks apart. */
	readonly type = "other";
}
/** A track of an input. */
export type Track = VideoTrack | AudioTrack | OtherTrack;
/** An open media file. Close it: `close()`, or `await using`. */
export declare class Input implements AsyncDisposable {
	#private;
	/** The tracks, in the order of the file. */
	readonly tracks: readonly Track[];
	/** The container's name (`mp4`, `matroska`, …). */
	get format(): string;
	/** Length in µs; null when unknown. */
	get duration(): number | null;
	/** What is missing at the end of a file that was found incomplete when it was opened; null when nothing is. */
	get incomplete(): string | null;
	/** The first video track; null when there is none. */
	get video(): VideoTrack | null;
	/** The first audio track; null when there is none. */
	get audio(): AudioTrack | null;
	/** Whether {@link close} was called. */
	get closed(): boolean;
	/** Ends all loops (quietly) and settles when threads and files are released. Frames that were handed out live on. */
	close(): Promise<void>;
	/** The same as {@link close}, for `await using`. */
	[Symbol.asyncDispose](): Promise<void>;
}
/**
 * Opens a media file: a path, a `file:` URL, bytes (copied), a Blob, or `{ size, read }`.
 *
 * Rejects with `BeamlineError`: `not-media`, `truncated` (its index is not whole), `no-such-file`, `container-not-supported`,
 * `read-failed` (its `cause` is what `read` has thrown).
 */
export declare function openInput(source: InputSource, options?: OpenInputOptions): Promise<Input>;
/**
 * How JavaScript sees a frame's memory: `external`, array buffers over it that die with `close()`; `wasm`, a private WebAssembly
 * memory per slot that is mapped over it (runtimes with a memory cage, such as Electron's); `copy`, a copy at first access, counted.
 */
export type ZeroCopyMode = "external" | "wasm" | "copy";
/** Where JavaScript takes bytes itself; with `seek`, plain files can be written too. */
export interface WriteTarget {
	/** Takes bytes at the present position; its promise is back-pressure. */
	write(bytes: Uint8Array): Promise<void> | void;
	/** Goes to an offset from the start. */
	seek?(offset: number): Promise<void> | void;
	/** Called once, when nothing more comes: the file is complete, or broken off with something playable in it. */
	close?(): Promise<void> | void;
	/** What to call it in messages; its ending chooses the container. */
	name?: string;
}
/** Where an output's bytes go: a path, a `file:` URL, a `WritableStream` of bytes, or an object that takes them. */
export type OutputTarget = string | URL | WritableStream<Uint8Array> | WriteTarget;
/** Options of a write. */
export interface WriteOptions {
	/** Ends the wait for room; the item is then not written. */
	signal?: AbortSignal;
}
/** A track of pictures that are encoded. */
export declare class OutputVideoTrack {
	#private;
	/**
	 * Gives a frame to the encoder; resolves when there is room for it: back-pressure. The output takes its own hold at once, the caller
	 * closes his frame all the same. Rejects with what ended the output. A frame whose timestamp is not after that of the one before is
	 * refused (`timestamp-order`) and the output goes on.
	 */
	write(frame: VideoFrame, options?: WriteOptions & {
		keyFrame?: boolean;
	}): Promise<void>;
}
/** A track of compressed chunks that are written as they are. */
export declare class OutputChunkTrack<T extends EncodedVideoChunk | EncodedAudioChunk = EncodedAudioChunk> {
	#private;
	/**
	 * Writes one chunk, in the order of decoding; resolves when there is room. Rejects with what ended the output. A chunk that is decoded
	 * at or before the time of the one before is refused (`timestamp-order`) and the output goes on; what `track.chunks()` gives knows
	 * when it is decoded, of another chunk its timestamp is taken.
	 */
	write(chunk: T, options?: WriteOptions): Promise<void>;
}
/** A picture to be drawn for readers: see {@link SharedVideoTrack.frame}. */
export interface SharedFrameInit {
	/** When it is shown, in µs. */
	timestamp: number;
	/** How long it is shown, in µs; null when nobody has said. */
	duration?: number | null;
	/** W3C's name, or our slug for formats that W3C does not have. Default: `I420`. */
	format?: VideoPixelFormat | ExtraPixelFormat;
	/** Width in pixels. Default: the track's, or that of the frame written last. */
	width?: number;
	/** Height in pixels. Default: the track's, or that of the frame written last. */
	height?: number;
	/** How its numbers become light. */
	colorSpace?: VideoColorSpaceInit;
	/** How far to turn it clockwise for showing, in degrees. */
	rotation?: 0 | 90 | 180 | 270;
	/** Whether to mirror it left to right after turning. */
	flip?: boolean;
	/** How long to wait for memory while readers hold all that the output may have, in ms. Default: 5000. */
	timeoutMs?: number;
	/** Ends the wait. */
	signal?: AbortSignal;
}
/** The pictures of a shared output. */
export declare class SharedVideoTrack {
	#private;
	/**
	 * Shows a frame to readers, at once: nobody is waited for, who has no room is served by his own policy. Readers see it in the memory
	 * in which it lies, 0 copies: a frame of {@link frame}, of a capture, of an input. What JavaScript has made from bytes, what
	 * `writable()` had to copy and what another process shares lies beside pictures of other sources or belongs to somebody else: that is
	 * copied once (`stats().copies`), for which memory is waited for as in {@link frame}.
	 *
	 * Readers get whole memory segments: a frame of a capture or an input that is shown where it lies shows them all of its segment, earlier
	 * and later frames of that source included, whether they are written or not. What must be seen alone is drawn into {@link frame}.
	 *
	 * It takes its own hold at once, the caller closes his frame all the same. A frame that was written into is to be read from now on:
	 * views that it was drawn through are empty. Rejects with what ended the output. A frame whose timestamp is not after that of the one
	 * before is refused (`timestamp-order`) and the output goes on.
	 */
	write(frame: VideoFrame, options?: WriteOptions): Promise<void>;
	/**
	 * A frame to be drawn into through its `planes` and then written: it lies in the output's own memory, so that nothing is copied. Its
	 * bytes are those of an earlier picture of this output, or 0: draw all of it.
	 *
	 * Waits while readers and open frames hold all memory that the output may have (128 frames of a size, at most 512 MiB of it; where another
	 * process hosts the share, 4 frames that are not written yet, and at most 1 GiB there); rejects with
	 * `BeamlineError` `frames-not-closed` after `timeoutMs`, and with `InvalidConfig` for what no frame can be.
	 */
	frame(init: SharedFrameInit): Promise<VideoFrame>;
}
/** How frames are produced for other processes. */
export interface CreateSharedOutputOptions {
	/** Readers at once, at most: 1 to 1024; 64 unless told otherwise. Refused for a name that another process hosts: that one says it. */
	clients?: number;
	/** Aborts the output, as {@link SharedOutput.abort} does: what waits rejects with the signal's reason. */
	signal?: AbortSignal;
}
/**
 * What is said of the pictures beforehand. Readers that come before the first frame are told; frames may be otherwise all the same. Null is
 * what nobody knows yet, as {@link CaptureFormat} has it.
 */
export interface SharedVideoConfig {
	/** Width in pixels; default of {@link SharedVideoTrack.frame}. */
	width?: number | null;
	/** Height in pixels; default of {@link SharedVideoTrack.frame}. */
	height?: number | null;
	/** Pictures per second, where they are steady: a hint for readers. */
	frameRate?: number | FrameRate | null;
}
/** Numbers of a shared output. What its owner alone knows is undefined where another process hosts it: `capture.clients` tells it there. */
export interface SharedOutputStats {
	/** Frames that were shown to readers. */
	frames: number;
	/** Those of them that had to be copied first: see {@link SharedVideoTrack.write}. */
	copies: number;
	/** Frames that readers held when they ended without a word, and that came back by themselves. */
	swept: number | undefined;
	/** Who reads now. */
	clients: ShareClient[] | undefined;
}
/**
 * Frames of this process for others of the same user, in the same memory: they say `openCapture('shared:' + name)`.
 *
 * Where another process hosts the name (`openCapture('shared:' + name, { host: true })`, or an end of it was inherited: `shared:fd:3`), it
 * owns the memory and shows the frames: once it has closed, what is asked for here rejects with `InvalidState`, `host-closed`.
 *
 * Nobody who reads can hold it up. `close()` tells readers the end; leaving it any other way tells them an error (`output-aborted`).
 */
export declare class SharedOutput implements AsyncDisposable {
	#private;
	/** Under which others find it; `fd:` and its number when an inherited end was all that was known. */
	readonly name: string;
	/** Its one track: pictures, handed over as they are written. */
	addVideo(config?: SharedVideoConfig): SharedVideoTrack;
	/** Ends it: readers are told, after the frames that were written; the name is free. After `abort()` it rejects with the reason. */
	close(): Promise<void>;
	/** Gives up: readers get an error (`DeviceLost`, `output-aborted`) and the name is free. What waits rejects with an `AbortError`. */
	abort(): Promise<void>;
	/** Numbers so far; after the end, the last ones. */
	stats(): SharedOutputStats;
	/** For `await using`: leaving the block without `close()` gives it up. */
	[Symbol.asyncDispose](): Promise<void>;
}
/** How a file is written. */
export interface CreateOutputOptions {
	/** Container: `mp4` or `mov`. Default: by the ending of the path. */
	container?: "mp4" | "mov";
	/** In fragments, so that a crash leaves a playable file (default), or plain with the index in front. */
	fragmented?: boolean;
	/** Aborts the output, as {@link Output.abort} does: writes and a `close()` that wait reject with the signal's reason. */
	signal?: AbortSignal;
}
/** A track of pictures to be encoded. What is left out comes from the first frame, or from `runtime.encoderDefaults`. */
export interface OutputVideoConfig {
	/**
	 * Codec string (`avc1.640028`) or family (`h264`). A level that does not hold the size, rate or bitrate is refused
	 * (`codec-not-supported`, with the string that does): here where both sides are given, else by the first write.
	 */
	codec: string;
	/**
	 * Width in pixels: frames are scaled when theirs differs. Of an odd one (from a frame, too) the encoder takes one pixel less: 333 is
	 * written as 332. A picture whose pixels are not square keeps the shape in which it is shown: scaled to `displayWidth` and
	 * `displayHeight` its pixels become square, at any other size the file says what they are.
	 */
	width?: number;
	/** Height in pixels: frames are scaled when theirs differs. Of an odd one the encoder takes one pixel less. */
	height?: number;
	/** Bits per second. Default: constant quality. */
	bitrate?: number;
	/** Pictures per second: a hint for rate control; the frames' own timestamps count. */
	frameRate?: number | FrameRate;
	/** What matters more: the picture (`quality`, default) or the time (`realtime`). */
	latencyMode?: "quality" | "realtime";
	/** The encoder's preset (x264's names, `ultrafast` … `placebo`). */
	preset?: string;
	/** Most pictures from key picture to key picture. */
	keyInterval?: number;
	/** Threads of the encoder. Default: by the cores. */
	threads?: number;
	/** Frames that may wait for the encoder. Default: 4. */
	queue?: number;
}
/** Numbers of an output; they only grow. */
export interface OutputStats {
	/** Frames encoded. */
	frames: number;
	/** Packets that came out of encoders. */
	packets: number;
	/** Pictures that had to be converted or scaled for the encoder. */
	copies: number;
	/** Bytes given to the target. */
	bytes: number;
	/** Whole fragments that reached the target. */
	fragments: number;
	/** Encoders in use, by the library's name (`libx264`). */
	encoders: string[];
	/** Codec strings of what really comes out of them. */
	codecs: string[];
}
/** What was written. */
export interface OutputReport {
	/** Bytes given to the target. */
	bytes: number;
	/** Whole fragments in it (0 in the plain form). */
	fragments: number;
	/** Where the last picture or sound ends, in µs. */
	duration: number;
	/** Whether the file is complete, or was broken off. */
	complete: boolean;
	/** Whether what is there can be played; if not, nothing of it is left. */
	playable: boolean;
}
/** Which part of a track is copied. */
export interface CopyOptions {
	/** Begins with the last key chunk at or before this time, in µs. Default: the beginning. */
	from?: number;
	/** Ends before the first chunk that is decoded at or after this time, in µs. Default: the end. */
	to?: number;
	/** Ends where the last of the tracks that are written ends, when that comes first. Default: false. */
	shortest?: boolean;
}
/** Options of {@link Output.close}. */
export interface CloseOptions {
	/** Gives up, as {@link Output.abort} does; `close()` rejects with the signal's reason. */
	signal?: AbortSignal;
}
/** A media file that is being written. `close()` completes it; leaving it any other way keeps what is playable. */
export declare class Output implements AsyncDisposable {
	#private;
	/** A track of pictures that are encoded here. All tracks are added before the first write. */
	addVideo(config: OutputVideoConfig): OutputVideoTrack;
	/** A track of sound that comes as chunks. `config` is what `input.audio.decoderConfig` gives. */
	addAudio(config: AudioTrackDecoderConfig): OutputChunkTrack<EncodedAudioChunk>;
	/** A track of pictures that come as chunks. `config` is what `input.video.decoderConfig` gives. */
	addVideoChunks(config: VideoTrackDecoderConfig): OutputChunkTrack<EncodedVideoChunk>;
	/** Copies a track of an input as it is, by a thread of its own, at the pace of the other tracks. `close()` waits for its end. */
	copy(track: Track, options?: CopyOptions): void;
	/**
	 * Completes the file. Rejects with what went wrong: `abort()` then tells whether what was written before is playable. Cancelled by
	 * `signal` or by `abort()`, it rejects with the reason, and what is playable is kept.
	 */
	close(options?: CloseOptions): Promise<OutputReport>;
	/**
	 * Gives up. What is playable is kept (`playable: true`); else nothing is left of it, and a file that was there before is as it was.
	 * A `close()` that waits rejects with an `AbortError`, and so do later calls of `close()` and `write()`. After a failure (a full disk,
	 * say) it tells what that has left; after a `close()` that has completed the file it gives that one's report.
	 */
	abort(): Promise<OutputReport>;
	/** Numbers so far; after the end, the last ones. */
	stats(): OutputStats;
	/** For `await using`: leaving the block without `close()` keeps what is playable. */
	[Symbol.asyncDispose](): Promise<void>;
}
/**
 * Begins an output for other processes of the same user: they say `openCapture('shared:NAME')` and see the frames that are written here in
 * the same memory. A name holds letters, digits, `-`, `_` and `.`, or is the path of a socket. (A file of such a name is `./shared:NAME`.)
 * With a frame of a capture or an input they see the whole memory segment in which it lies: earlier and later frames of that source, too.
 *
 * When another process hosts the name (`openCapture('shared:NAME', { host: true })`), the frames are drawn in its memory and shown by it:
 * what `video.frame()` gives needs no copy then, other frames are copied once.
 *
 * Rejects with `BeamlineError`: `share-taken`, `share-produced` (Busy), `share-ended` (InvalidState), `share-name`.
 */
export declare function createOutput(target: `shared:${string}`, options?: CreateSharedOutputOptions): Promise<SharedOutput>;
/**
 * Begins a media file: MP4 or MOV, in fragments unless told otherwise, so that a crash or a full disk leaves what was written before
 * playable.
 *
 * At a path, a file that is there already is replaced, in one step, when the first fragment of the new one is whole (with
 * `fragmented: false`, when it is complete); until then it is untouched, and an input that has it open goes on reading it. Its bytes are
 * on the disk before they take the old file's name. What is no plain file (`/dev/stdout`, a pipe) is written directly; so is a file that
 * may be written in a folder that may not: it is emptied at the first byte.
 *
 * Rejects with `BeamlineError`: `invalid-argument` (a container that nobody knows), `not-allowed`, `no-such-file`, `disk-full`.
 */
export declare function createOutput(target: OutputTarget, options?: CreateOutputOptions): Promise<Output>;
/** Numbers of this process's shared memory. */
export interface MemoryStats {
	/** Slots that exist now. */
	slots: number;
	/** Slots in use now. */
	live: number;
	/**
	 * An upper bound of the slots that were in use at once: each class of sizes in each pool remembers its own highest mark, and this is
	 * their sum, as if all had been reached at the same time.
	 */
	highWater: number;
	/** How often somebody had to wait for a slot, ever. */
	waits: number;
	/** Bytes of all segments now. */
	bytes: number;
	/** Passes over pictures outside codec libraries, ever. */
	copies: number;
	/** How often a slot was taken, ever. */
	allocations: number;
	/** Frames that JavaScript of this environment holds open now. */
	openFrames: number;
	/** How often it was found, and undone, that JavaScript had stored into a frame that another process owns, ever. */
	strayWrites: number;
	/** Tokens that nobody redeemed, ever. */
	expiredTokens: number;
	/** Threads that work for this environment now. */
	threads: number;
}
/** One row of the table of encoder defaults. */
export interface EncoderDefaults {
	/** Which mode it is for. */
	latencyMode: "quality" | "realtime";
	/** x264 preset. */
	preset: string;
	/** x264 tune; null: none. */
	tune: string | null;
	/** Rate factor when no bitrate is asked for. */
	crf: number;
	/** Seconds from key picture to key picture, at most. */
	keyIntervalSeconds: number;
	/** B-pictures in a row, at most; null: the preset's. */
	bFrames: number | null;
}
/** What this build, this machine and this runtime can do. */
export interface Runtime {
	/** Version of Beamline. */
	readonly version: string;
	/** The FFmpeg that is linked: `license` is what it says of itself at run time. */
	readonly ffmpeg: {
		readonly version: string;
		readonly license: string;
		readonly configuration: string;
	};
	/** How JavaScript sees the memory of frames. Probed and tested at the first access. */
	readonly zeroCopyMode: ZeroCopyMode;
	/** What can be encoded, written and held. */
	readonly features: {
		/** The H.264 encoder in use; null: none. */
		readonly h264Encoder: string | null;
		/** Containers that can be written. */
		readonly containers: readonly string[];
		/** Pixel formats, by our slugs. */
		readonly pixelFormats: readonly string[];
	};
	/** Encoder defaults per `latencyMode`. */
	readonly encoderDefaults: readonly EncoderDefaults[];
}
/** What this build, this machine and this runtime can do. Nothing is loaded before the first access. */
export declare const runtime: Runtime;
/** Shared memory of this process. */
export declare const memory: {
	/** Its numbers now: a plain snapshot. */
	stats(): MemoryStats;
};

export {};
