/*
 * lab_program.h: where the build that a test belongs to has its darkroom-lab.
 */
#ifndef DARKROOM_TEST_LAB_PROGRAM_H
#define DARKROOM_TEST_LAB_PROGRAM_H

#define LAB_PROGRAM_MAX 512

/* A failure fails the test that runs. */
void lab_program_find(char path[LAB_PROGRAM_MAX]);

#endif
