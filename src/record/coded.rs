//! Small enums with numbers that stand in recordings for ever, and names for people. Step: **event** → ring.

macro_rules! coded {
    ($(#[$doc:meta])* $name:ident : $int:ty { $($(#[$vdoc:meta])* $variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr($int)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant = $code,)* }
        impl $name {
            /// Every code this version knows, in numeric order.
            pub const ALL: &[$name] = &[$($name::$variant,)*];
            /// The variant with this wire code; nothing for one newer than this version.
            pub const fn from_code(code: $int) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
            /// The wire code.
            pub const fn code(self) -> $int { self as $int }
            /// The name used in exports and on screen.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

pub(crate) use coded;
