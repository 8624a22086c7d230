//! mio's optional features: this mirror has all that mean something on Linux, `os-poll`, `os-ext` and `net`.
