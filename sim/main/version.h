#ifndef ORRERY_MAIN_VERSION_H
#define ORRERY_MAIN_VERSION_H

/* The program's version; CHANGELOG.md says what changed. */
#define ORRERY_VERSION "0.1.0"

#endif
