/* The program's name and version, as engine.json, metadata and --version say them. The version stands in meson.build,
 * which defines ALIGNPROP_VERSION. */
#ifndef ALIGNPROP_BASE_VERSION_H
#define ALIGNPROP_BASE_VERSION_H

#define ALIGNPROP_NAME "AlignProp Studio"

#endif
