//! Codec strings (RFC 6381, WebCodecs codec registry): from text to a family with parameters, and from bitstreams to text.
