/* The program's version, as engine.json, metadata and --version say it. */
#ifndef ALIGNPROP_BASE_VERSION_H
#define ALIGNPROP_BASE_VERSION_H

#define ALIGNPROP_NAME "AlignProp Studio"
#ifndef ALIGNPROP_VERSION
#define ALIGNPROP_VERSION "0.1.0"
#endif

#endif
