/** The native functions that run once per frame or wake (`crates/node/src/desk.rs`): no methods, whose calls cost more than what these do. */
export interface FramePath {
  /**
   * Hands over up to `max` frames that wait: their four numbers each lie in the scratch array. Else: −1 nothing now (a READY event will
   * come), −2 the same, and none will come before open frames are closed, −3 ended, −4 failed.
   */
  take(stream: number, max: number): number
  /** Lets go of a frame whose views are detached. A void number finds none. */
  closeFrame(frame: number): void
  /** Detaches the one ArrayBuffer that shows a frame and lets go of it. */
  closeWith(frame: number, view: ArrayBuffer): void
  /** Way `external`: an ArrayBuffer over a buffer of the frame. It is detached before the frame is closed. */
  view(frame: number, buffer: number): ArrayBuffer | undefined
  /** Way `wasm`: a number for the slot behind a buffer; −1 when there is none. */
  slotKey(frame: number, buffer: number): number
}
