#ifndef ORRERY_TESTS_DISK_FILE_H
#define ORRERY_TESTS_DISK_FILE_H

/* A host file to make a disk of: byte i is disk_file_byte(i). */

#include <stddef.h>
#include <stdint.h>

#define DISK_FILE_NAME_BYTES 64u

/* Makes a file of size bytes in /tmp and gives its name. Fails the test when it cannot. */
void disk_file_make(char name[DISK_FILE_NAME_BYTES], size_t size);
void disk_file_remove(const char *name);
uint8_t disk_file_byte(uint64_t offset);

#endif
