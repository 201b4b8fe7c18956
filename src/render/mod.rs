//! Templates and INI files. Pure.
