/* What Rust's std asks Windows for random numbers, and wine before version 9 does not have: a library to lie beside a
 * program that is tested there. Nothing of it is in what is released. */
#include <windows.h>
#include <ntsecapi.h>

#define PART_BYTES_MAX ((SIZE_T)1 << 20)

/* https://learn.microsoft.com/en-us/windows/win32/seccng/processprng */
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length)
{
    while (length > 0) {
        ULONG part = (ULONG)(length < PART_BYTES_MAX ? length : PART_BYTES_MAX);
        if (!RtlGenRandom(data, part))
            return FALSE;
        data += part;
        length -= part;
    }
    return TRUE;
}
