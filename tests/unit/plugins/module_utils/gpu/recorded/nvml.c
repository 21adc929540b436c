/* GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A stand-in for libnvidia-ml.so.1 that answers from a text file, which $NVML_ANSWERS names. Each of its lines is
 *
 *     FUNCTION WHO ANSWER
 *
 * WHO is "-" for the system, "0" for the first GPU, "0.2" for its third MIG device, link or the pair of GPUs 0 and 2.
 * ANSWER is what the function tells, numbers parted by blanks, or "!" with an error code. A function that the file does
 * not name is not supported (3); one asked for a link or MIG device that it does not name gets an invalid argument (2)
 * or finds nothing (6). With -DOLD symbols that older drivers lack are not there at all.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7 };
typedef void *handle;
typedef struct { unsigned long long total, free, used; } memory_info;
typedef struct { char old[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_info;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_info;

static char told[4096];

/* Finds the answer into `told`; returns its error code. */
static int answer(const char *function, const char *who, int unknown) {
    const char *path = getenv("NVML_ANSWERS");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[4096], name[128], whom[32];
    int found = unknown, start;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%127s %31s %n", name, whom, &start) < 2) continue;
        if (strcmp(name, function) || strcmp(whom, who)) continue;
        line[strcspn(line, "\n")] = 0;
        strcpy(told, line + start);
        found = told[0] == '!' ? atoi(told + 1) : SUCCESS;
        break;
    }
    if (file) fclose(file);
    return found;
}

/* A GPU's handle is its index plus 1, a MIG device's also holds 100 times its own index plus 1. */
static const char *who(handle device) {
    static char text[32];
    long number = (long)(intptr_t)device;
    if (number >= 100) sprintf(text, "%ld.%ld", number % 100 - 1, number / 100 - 1);
    else sprintf(text, "%ld", number - 1);
    return text;
}

static const char *part(handle device, unsigned number) {
    static char text[64];
    sprintf(text, "%s.%u", who(device), number);
    return text;
}

static int text_of(const char *function, const char *whom, char *buffer, unsigned size) {
    int code = answer(function, whom, NOT_SUPPORTED);
    if (code) return code;
    if (strlen(told) >= size) return TOO_SMALL;
    strcpy(buffer, told);
    return SUCCESS;
}

static int number_of(const char *function, const char *whom, int unknown, unsigned *value) {
    int code = answer(function, whom, unknown);
    if (!code) *value = strtoul(told, NULL, 0);
    return code;
}

static int numbers_of(const char *function, const char *whom, unsigned *one, unsigned *other) {
    int code = answer(function, whom, NOT_SUPPORTED);
    if (!code && sscanf(told, "%u %u", one, other) != 2) code = INVALID;
    return code;
}

static int pci_of(const char *function, const char *whom, pci_info *info) {
    memset(info, 0, sizeof *info);
    return text_of(function, whom, info->bus_id, sizeof info->bus_id);
}

#define SYSTEM_TEXT(name) int name(char *buffer, unsigned size) { return text_of(#name, "-", buffer, size); }
#define SYSTEM_NUMBER(name) int name(unsigned *value) { return number_of(#name, "-", NOT_SUPPORTED, value); }
#define TEXT(name) int name(handle d, char *buffer, unsigned size) { return text_of(#name, who(d), buffer, size); }
#define NUMBER(name) int name(handle d, unsigned *value) { return number_of(#name, who(d), NOT_SUPPORTED, value); }
#define NUMBERS(name) int name(handle d, unsigned *one, unsigned *other) { return numbers_of(#name, who(d), one, other); }
#define OF_LINK(name) \
    int name(handle d, unsigned link, unsigned *value) { return number_of(#name, part(d, link), INVALID, value); }

int nvmlInitWithFlags(unsigned flags) { (void)flags; return answer("nvmlInit", "-", SUCCESS); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "an error"; }

SYSTEM_TEXT(nvmlSystemGetDriverVersion)
SYSTEM_TEXT(nvmlSystemGetNVMLVersion)
SYSTEM_NUMBER(nvmlSystemGetCudaDriverVersion)
SYSTEM_NUMBER(nvmlDeviceGetCount_v2)
int nvmlSystemGetProcessName(unsigned pid, char *buffer, unsigned size) {
    char whom[16];
    sprintf(whom, "%u", pid);
    return text_of("nvmlSystemGetProcessName", whom, buffer, size);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, handle *device) {
    *device = (handle)(intptr_t)(index + 1);
    return answer("nvmlDeviceGetHandleByIndex", who(*device), SUCCESS);
}

TEXT(nvmlDeviceGetName)
TEXT(nvmlDeviceGetUUID)
NUMBERS(nvmlDeviceGetCudaComputeCapability)
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth)
NUMBER(nvmlDeviceGetComputeMode)
OF_LINK(nvmlDeviceGetNvLinkState)

int nvmlDeviceGetPciInfo_v3(handle d, pci_info *info) { return pci_of("nvmlDeviceGetPciInfo", who(d), info); }
int nvmlDeviceGetNvLinkRemotePciInfo_v2(handle d, unsigned link, pci_info *info) {
    return pci_of("nvmlDeviceGetNvLinkRemotePciInfo", part(d, link), info);
}

int nvmlDeviceGetMemoryInfo(handle d, memory_info *memory) {
    int code = answer("nvmlDeviceGetMemoryInfo", who(d), NOT_SUPPORTED);
    if (!code && sscanf(told, "%llu %llu", &memory->total, &memory->free) != 2) code = INVALID;
    if (!code) memory->used = memory->total - memory->free;
    return code;
}

int nvmlDeviceGetTotalEccErrors(handle d, unsigned kind, unsigned counter, unsigned long long *count) {
    unsigned corrected = 0, uncorrected = 0;
    int code = counter ? INVALID : numbers_of("nvmlDeviceGetTotalEccErrors", who(d), &corrected, &uncorrected);
    *count = kind ? uncorrected : corrected;
    return code;
}

int nvmlDeviceGetTemperature(handle d, unsigned sensor, unsigned *value) {
    return sensor ? INVALID : number_of("nvmlDeviceGetTemperature", who(d), NOT_SUPPORTED, value);
}

int nvmlDeviceGetTopologyCommonAncestor(handle one, handle other, unsigned *level) {
    return number_of("nvmlDeviceGetTopologyCommonAncestor", part(one, (long)(intptr_t)other - 1), NOT_SUPPORTED, level);
}

/* The answer is a list of pids, each with the bytes that it holds. */
static int processes(handle d, unsigned *count, process_info *infos) {
    unsigned room = *count, pid;
    unsigned long long used;
    char *rest = told;
    int code, read;
    told[0] = 0;
    *count = 0;
    code = answer("nvmlDeviceGetComputeRunningProcesses", who(d), SUCCESS);
    if (code) return code;
    while (sscanf(rest, "%u %llu%n", &pid, &used, &read) == 2) {
        if (infos && *count < room) infos[*count] = (process_info){pid, used, 0xffffffff, 0xffffffff};
        *count += 1;
        rest += read;
    }
    return *count > room ? TOO_SMALL : SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v2(handle d, unsigned *count, process_info *infos) {
    return processes(d, count, infos);
}

#ifndef OLD
typedef struct { unsigned version, sensor; int degrees; } temperature_info;
typedef struct { unsigned version; unsigned char cluster[16]; int status; unsigned clique, state, health; } fabric_info;

int nvmlDeviceGetGpuFabricInfoV(handle d, fabric_info *info) {
    return number_of("nvmlDeviceGetGpuFabricInfo", who(d), NOT_SUPPORTED, &info->state);
}


SYSTEM_NUMBER(nvmlSystemGetCudaDriverVersion_v2)
NUMBER(nvmlDeviceGetArchitecture)
NUMBERS(nvmlDeviceGetMigMode)
NUMBER(nvmlDeviceGetMaxMigDeviceCount)
NUMBER(nvmlDeviceGetVirtualizationMode)
NUMBER(nvmlDeviceGetGpuInstanceId)
NUMBER(nvmlDeviceGetComputeInstanceId)
OF_LINK(nvmlDeviceGetNvLinkRemoteDeviceType)

int nvmlDeviceGetMigDeviceHandleByIndex(handle d, unsigned index, handle *device) {
    *device = (handle)(intptr_t)((index + 1) * 100 + (long)(intptr_t)d);
    return answer("nvmlDeviceGetUUID", who(*device), NOT_FOUND);
}

int nvmlDeviceGetTemperatureV(handle d, temperature_info *info) {
    unsigned degrees = 0;
    int code = info->version == 0x100000C ? nvmlDeviceGetTemperature(d, info->sensor, &degrees) : INVALID;
    info->degrees = (int)degrees;
    return code;
}

int nvmlDeviceGetComputeRunningProcesses_v3(handle d, unsigned *count, process_info *infos) {
    return processes(d, count, infos);
}
#endif
