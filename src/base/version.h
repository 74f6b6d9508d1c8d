/* The program's version; the build system gives it. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#ifndef VERSION_TEXT
#define VERSION_TEXT "0.1.0"
#endif

#endif
