//! Our own walk over the boxes of MP4 and MOV files (ISO/IEC 14496-12).
