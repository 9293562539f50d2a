#ifndef ORRERY_MMU_TLB_SIZE_H
#define ORRERY_MMU_TLB_SIZE_H

/* Sizes of the translation caches: sets (a power of two) and ways of each bank. The tiny build shrinks them
 * so that replacement happens all the time: results of guests that invalidate correctly must not change. */

#ifndef ORRERY_TINY

#define TLB_4K_SETS    256u
#define TLB_4K_WAYS    4u
#define TLB_2M_SETS    16u
#define TLB_2M_WAYS    4u
#define TLB_1G_SETS    4u
#define TLB_1G_WAYS    4u
#define TLB_PDE_SETS   16u
#define TLB_PDE_WAYS   4u
#define TLB_PDPTE_SETS 4u
#define TLB_PDPTE_WAYS 4u
#define TLB_PML4E_SETS 2u
#define TLB_PML4E_WAYS 4u

#else

#define TLB_4K_SETS    2u
#define TLB_4K_WAYS    2u
#define TLB_2M_SETS    1u
#define TLB_2M_WAYS    2u
#define TLB_1G_SETS    1u
#define TLB_1G_WAYS    1u
#define TLB_PDE_SETS   1u
#define TLB_PDE_WAYS   2u
#define TLB_PDPTE_SETS 1u
#define TLB_PDPTE_WAYS 1u
#define TLB_PML4E_SETS 1u
#define TLB_PML4E_WAYS 1u

#endif

#define TLB_2M_FIRST    (TLB_4K_SETS * TLB_4K_WAYS)
#define TLB_1G_FIRST    (TLB_2M_FIRST + TLB_2M_SETS * TLB_2M_WAYS)
#define TLB_PDE_FIRST   (TLB_1G_FIRST + TLB_1G_SETS * TLB_1G_WAYS)
#define TLB_PDPTE_FIRST (TLB_PDE_FIRST + TLB_PDE_SETS * TLB_PDE_WAYS)
#define TLB_PML4E_FIRST (TLB_PDPTE_FIRST + TLB_PDPTE_SETS * TLB_PDPTE_WAYS)
#define TLB_ENTRIES     (TLB_PML4E_FIRST + TLB_PML4E_SETS * TLB_PML4E_WAYS)

#define TLB_2M_FIRST_SET    TLB_4K_SETS
#define TLB_1G_FIRST_SET    (TLB_2M_FIRST_SET + TLB_2M_SETS)
#define TLB_PDE_FIRST_SET   (TLB_1G_FIRST_SET + TLB_1G_SETS)
#define TLB_PDPTE_FIRST_SET (TLB_PDE_FIRST_SET + TLB_PDE_SETS)
#define TLB_PML4E_FIRST_SET (TLB_PDPTE_FIRST_SET + TLB_PDPTE_SETS)
#define TLB_SETS            (TLB_PML4E_FIRST_SET + TLB_PML4E_SETS)

#endif
